"""The people whose faces are known: kept, managed, handed to the detectors."""
