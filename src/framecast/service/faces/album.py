"""People and their photos as JSON: what ``/api/v1/people`` takes and gives, and ``framecast faces`` works with.

Everything waits for the disk and for models, so a server asks from a thread, always the same one.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from typing import Any

from framecast.core.errors import Misuse, StateError
from framecast.service.access.accounts import folded
from framecast.service.errors import Refused
from framecast.service.store.database import Database
from framecast.service.store.people import PeopleStore, Person
from framecast.vision.faces.people import Circle, Sample
from framecast.vision.faces.register import Register
from framecast.vision.faces.tools import Tools, Workshop

log = logging.getLogger("framecast.service.faces")

MOST_PEOPLE = 500
MOST_PHOTOS = 20
RESERVED = frozenset({"unknown", "strangers"})
"""What rules call those who have no name."""
_NAME = re.compile(r"[^\W_](?:[\w .'’@+-]{0,62}[\w.])?")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")


class Album:
    """Those who are known.

    Args:
        database: The state file.
        register: Is told who they are.
        workshop: What finds and knows faces.
        kind: Which way, see `framecast.vision.faces.tools.KINDS`.

    Attributes:
        stopping: Whether what takes long is to be left for the next time.
        is_told: Whether the register knows who is kept; from the first request on, whatever it is.
    """

    def __init__(self, database: Database, register: Register, workshop: Workshop, kind: str) -> None:
        self._store = PeopleStore(database)
        self._register = register
        self._workshop = workshop
        self._kind = kind
        self.stopping = False
        self.is_told = False
        self._useless: set[tuple[int, int, str]] = set()  # person, photo, model

    # Looking

    def listing(self) -> dict[str, Any]:
        """Those with a name, by their names, and whether faces can be known."""
        people = sorted((each for each in self._store.people() if each.name), key=lambda each: folded(each.name))
        return {"people": [describe(each) for each in people], "faces": {"reason": self._workshop.reason(self._kind)}}

    def unknown(self) -> dict[str, Any]:
        """Faces that nobody has named, the latest first."""
        people = [each for each in self._store.people() if not each.name and each.photos]
        people.sort(key=lambda each: (-(each.seen_s or 0.0), -each.number))
        return {"unknown": [_describe_unknown(each) for each in people]}

    def photo(self, person: str, name: str) -> bytes:
        """A photo's JPEG, of a person or of an unknown face, by what stands in its address: ``3.jpg``."""
        picture = self._store.photo(_number(person), _number(name.removesuffix(".jpg")))
        if picture is None:
            raise Refused(404, "not_found", "There is no such photo")
        return picture

    def find(self, person: str) -> Person:
        """The person of this number, as text; raises Refused when there is none."""
        number = _number(person)
        for each in self._store.people():
            if each.number == number and each.name:
                return each
        raise Refused(404, "not_found", f"There is no person {person[:20]!r}")

    def find_unknown(self, group: str) -> Person:
        """The unknown face of this number, as text; raises Refused when there is none."""
        number = _number(group)
        for each in self._store.people():
            if each.number == number and not each.name:
                return each
        raise Refused(
            404, "not_found", f"There is no unknown face {group[:20]!r}; it may have been named, or forgotten"
        )

    def named(self, name: str) -> Person:
        """The person of this name, in any case; raises Refused when there is none."""
        for each in self._store.people():
            if each.name and folded(each.name) == folded(name):
                return each
        raise Refused(404, "not_found", f"Nobody called {name[:64]!r} is known")

    # Changing

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make a person, who is known from the first photo on; raises Misuse and Refused."""
        name = _name(body)
        people = self._store.people()
        self._see_that_it_is_free(name, people)
        _see_that_one_more_fits(people)
        self.see_that_it_is_told()
        number = self._store.add(name, folded(name), self._register.take_number())
        self.load()
        return describe(self.find(str(number)))

    def rename(self, person: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change a person's name; raises Misuse and Refused."""
        known, name = self.find(person), _name(body)
        self._see_that_it_is_free(name, self._store.people(), but=known.number)
        self._store.rename(known.number, name, folded(name))
        self.load()
        return describe(self.find(person))

    def forget(self, person: str) -> Person:
        """Forget a person, and all that was kept of the face; raises Refused."""
        known = self.find(person)
        self._store.forget(known.number)
        self.load()
        return known

    def name_unknown(self, group: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a person of an unknown face, or give its photos to the one who is called so already."""
        face, name = self.find_unknown(group), _name(body)
        people = self._store.people()
        for each in people:
            if each.name and folded(each.name) == folded(name):
                self._store.merge(face.number, each.number, MOST_PHOTOS)
                self.load()
                return describe(self.find(str(each.number)))
        _see_that_one_more_fits(people)
        self._store.rename(face.number, name, folded(name))
        self.load()
        return describe(self.find(group))

    def forget_unknown(self, group: str) -> None:
        """Forget an unknown face; raises Refused."""
        self._store.forget(self.find_unknown(group).number)
        self.load()

    def add_photo(self, person: str, data: bytes) -> dict[str, Any]:
        """Know somebody by another photo, a JPEG or PNG; raises Refused."""
        return self.keep_photo(person, sample_of(self.tools_for(person), data))

    def tools_for(self, person: str) -> Tools:
        """What finds the face in another photo of somebody, of whom one more is taken; raises Refused."""
        self._see_that_there_is_room(self.find(person))
        return self.tools()

    def keep_photo(self, person: str, photo: Sample) -> dict[str, Any]:
        """Know somebody by the face in another photo; raises Refused."""
        known = self.find(person)
        self._see_that_there_is_room(known)
        self._store.add_photo(known.number, photo)
        self.load()
        return describe(self.find(person))

    def enroll(self, name: str, photos: list[Sample]) -> dict[str, Any]:
        """Know somebody by these photos, who may be known already; raises Misuse and Refused."""
        name = _name({"name": name})
        try:
            known = self.named(name)
        except Refused:
            known = self.find(str(self.create({"name": name})["id"]))
        for photo in photos:
            self._see_that_there_is_room(self.find(str(known.number)))
            self._store.add_photo(known.number, photo)
        self.load()
        return describe(self.find(str(known.number)))

    def drop_photo(self, person: str, number: str) -> None:
        """Forget a photo; raises Refused."""
        known = self.find(person)
        if not self._store.drop_photo(known.number, _number(number)):
            raise Refused(404, "not_found", "There is no such photo")
        self.load()

    # What the stages need

    def load(self) -> None:
        """Tell the register who is known."""
        self.tell()
        circle = self._register.circle
        faces = {(each.person, each.photo) for each in circle.likenesses if each.person in circle.names}
        log.info("Trained %d faces for %d people", len(faces), len({person for person, _ in faces}))

    def tell(self) -> int:
        """As `load`, without a word in the log; returns how many are known, named or not."""
        people = self._store.people()
        names = {each.number: each.name for each in people if each.name}
        unknown = frozenset(each.number for each in people if not each.name)
        self._register.hold(Circle(names, unknown, self._store.likenesses()), self._store.next_number())
        self.is_told = True
        return len(people)

    def keep_news(self) -> None:
        """Keep whom the cameras saw."""
        news = self._register.take_news()
        if not news:
            return
        try:
            self._store.keep_news(news.strangers, news.dropped, news.seen)
        except StateError as error:
            # What breaks a rule of the tables would do so again and again.
            if not isinstance(error.__cause__, sqlite3.IntegrityError):
                self._register.give_back(news)
            raise
        if news.strangers or news.dropped:
            self.tell()

    def tools(self) -> Tools:
        """What finds and knows faces; raises Refused."""
        from framecast.vision.faces.face import FacesUnavailable

        self.see_that_it_is_told()
        try:
            return self._workshop.get(self._kind)
        except (FacesUnavailable, ModuleNotFoundError) as error:
            raise Refused(503, "no_faces", _sentence(error)) from None

    def look_anew(self, tools: Tools) -> bool:
        """Have a likeness of one more photo that was taken by another model; whether there may be more of them.

        Raises:
            FacesUnavailable: They failed.
            StateError: It can't be kept.
        """
        if tools.embedder is None or self.stopping:
            return False
        model = tools.embedder.name
        missing = [each for each in self._store.photos_unlike(model) if (*each, model) not in self._useless]
        if not missing:
            return False
        from framecast.vision.faces import photos

        person, number = missing[0]
        picture = self._store.photo(person, number)
        try:
            if picture is not None:
                likeness = photos.sample(tools, photos.read(picture))
                self._store.add_likeness(person, number, likeness.model, likeness.vector)
        except photos.BadPhoto as error:
            self._useless.add((person, number, model))
            log.warning("photo %d of person %d is of no use to %s: %s", number, person, model, error)
        if len(missing) == 1:
            self.load()
        return len(missing) > 1

    def see_that_it_is_told(self) -> None:
        """Numbers are given by the register, which has to know those that are taken: a request may come that early."""
        if not self.is_told:
            self.tell()

    def _see_that_it_is_free(self, name: str, people: list[Person], but: int = 0) -> None:
        for each in people:
            if each.name and each.number != but and folded(each.name) == folded(name):
                raise Refused(409, "exists", f"There is somebody called {each.name!r} already; take another name")

    def _see_that_there_is_room(self, person: Person) -> None:
        if len(person.photos) >= MOST_PHOTOS:
            raise Refused(
                409, "too_many", f"{person.name} has {MOST_PHOTOS} photos, which is the most; remove one first"
            )


def _see_that_one_more_fits(people: list[Person]) -> None:
    if sum(bool(each.name) for each in people) >= MOST_PEOPLE:
        raise Refused(409, "too_many", f"At most {MOST_PEOPLE} people are known; forget somebody first")


def sample_of(tools: Tools, data: bytes) -> Sample:
    """The one face in a JPEG or PNG; raises Refused. For any thread."""
    from framecast.vision.faces import photos
    from framecast.vision.faces.face import FacesUnavailable

    try:
        return photos.sample(tools, photos.read(data))
    except photos.BadPhoto as error:
        raise Refused(400, error.code, str(error)) from None
    except FacesUnavailable as error:
        raise Refused(503, "no_faces", _sentence(error)) from None


def describe(person: Person) -> dict[str, Any]:
    """What who operates cameras sees of one; times are Unix seconds or null."""
    return {
        "id": person.number,
        "name": person.name,
        "photos": [{"n": number, "url": _address(person, number)} for number in person.photos],
        "created": person.created_s,
        "last_seen": person.seen_s,
    }


def _describe_unknown(face: Person) -> dict[str, Any]:
    return {
        "group": face.number,
        "picture": _address(face, face.photos[0]),
        "count": face.times,
        "camera": face.camera,
        "first_seen": face.created_s,
        "last_seen": face.seen_s,
    }


def _address(person: Person, number: int) -> str:
    return f"/api/v1/people/{person.number}/photos/{number}.jpg"


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Refused(404, "not_found", f"There is nothing called {text[:20]!r}")
    return int(text)


def _name(body: dict[str, Any]) -> str:
    if body.keys() != {"name"}:
        raise Misuse('Send {"name": "…"}')
    name = body["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name.strip()) or folded(name.strip()) in RESERVED:
        raise Misuse(
            "A person's name has 1 to 64 letters, digits, spaces and . ' _ @ + -, a letter or digit first;"
            " unknown is nobody's"
        )
    return name.strip()


def _sentence(text: object) -> str:
    words = str(text)
    return words[:1].upper() + words[1:]
