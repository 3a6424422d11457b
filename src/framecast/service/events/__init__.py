"""What happens before the cameras, and whom it is told: zones, rules, events, deliveries."""
