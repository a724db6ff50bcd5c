"""A music service: tracks and artists, playlists that are made and shared, and what is playing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Genre = Literal["jazz", "folk", "rock", "classical", "electronic"]
Stars = Annotated[float, Between(0.5, 5)]

_PLAYING = ("start_listening",)


@dataclass
class Search:
    """What to look for; what is left out does not matter.

    Attributes:
        artist: Id of the artist.
        genre: Kind of music.
        stars: Rated at least so.
        longest: In seconds.
    """

    artist: str | None = None
    genre: Genre | None = None
    stars: Annotated[float, Between(0, 5)] = 0.0
    longest: Annotated[int, Between(minimum=1)] | None = None


@dataclass
class Sound:
    """How music sounds.

    Attributes:
        volume: 1 is loudest.
        bass: From -10 to 10.
        repeat: What is repeated.
    """

    volume: Annotated[float, Between(0, 1)] = 0.5
    bass: Annotated[int, Between(-10, 10)] = 0
    repeat: Literal["none", "track", "all"] = "none"


class TrackLine(TypedDict):
    """One of several tracks."""

    track: str
    title: str
    seconds: int


class Music(TableWorld):
    """Tables: `listeners` {name, password, follows}, `artists` {artist_name, genre}, `tracks` {title,
    artist, genre, seconds, stars, explicit}, `playlists` {playlist_name, owner, public, tracks},
    `links` {playlist, can_edit}, `player` {listener, queue, now, sound}."""

    name = "music"
    tables = ("listeners", "artists", "tracks", "playlists", "links", "player")

    @tool(returns={"listener": str})
    def start_listening(self, name: str, password: str, explicit: bool = True) -> dict[str, Any]:
        """Sign a listener in, as playing and playlists need it.

        Args:
            name: The listener's full name.
            password: The listener's password.
            explicit: Whether explicit tracks may be played.
        """
        listener = self.find("listeners", name=name)
        if self.state["listeners"][listener]["password"] != password:
            raise ToolError("the password is wrong")
        sound = asdict(Sound())
        self.state["player"] = {
            **{"listener": listener, "explicit": explicit, "queue": [], "now": None, "sound": sound}
        }
        return {"listener": listener}

    @tool(requires=_PLAYING, ends=_PLAYING, returns={"stopped": bool})
    def stop_listening(self) -> dict[str, Any]:
        """Sign the listener out; what was queued is gone."""
        self.state["player"] = {}
        return {"stopped": True}

    @tool(returns={"artist": str, "genre": str})
    def find_artist(self, artist_name: str) -> dict[str, Any]:
        """Look up an artist.

        Args:
            artist_name: The full name.
        """
        artist = self.find("artists", artist_name=artist_name)
        return {"artist": artist, "genre": self.state["artists"][artist]["genre"]}

    @tool(returns={"following": list[str]}, requires=_PLAYING)
    def follow_artist(self, artist: str, notify: bool = False) -> dict[str, Any]:
        """Follow an artist.

        Args:
            artist: Id of the artist.
            notify: Whether the listener is told of new tracks.
        """
        self.record("artists", artist)
        follows = self.record("listeners", self._me())["follows"]
        follows[artist] = notify
        return {"following": list(follows)}

    @tool(returns={"following": list[str]}, requires=_PLAYING)
    def unfollow_artist(self, artist: str) -> dict[str, Any]:
        """Follow an artist no longer.

        Args:
            artist: Id of the artist.
        """
        follows = self.record("listeners", self._me())["follows"]
        if follows.pop(artist, None) is None:
            raise ToolError(f"{artist} is not followed")
        return {"following": list(follows)}

    @tool(returns={"tracks": list[TrackLine]})
    def search_tracks(self, search: Search, limit: Annotated[int, Between(1, 20)] = 5) -> dict[str, Any]:
        """Search for tracks, best rated first.

        Args:
            search: What to look for.
            limit: How many at most.
        """
        if search.artist is not None:
            self.record("artists", search.artist)
        found = [
            (-one["stars"], key)
            for key, one in self.state["tracks"].items()
            if search.artist in (None, one["artist"])
            and search.genre in (None, one["genre"])
            and one["stars"] >= search.stars
            and (search.longest is None or one["seconds"] <= search.longest)
        ]
        if not found:
            raise ToolError("no track is like that; ask for less")
        return {"tracks": [self._line(key) for _, key in sorted(found)[:limit]]}

    @tool(returns={"title": str, "artist": str, "seconds": int, "stars": float, "explicit": bool})
    def get_track(self, track: str) -> dict[str, Any]:
        """Tell all about a track.

        Args:
            track: Id of the track.
        """
        one = self.record("tracks", track)
        return {key: one[key] for key in ("title", "artist", "genre", "seconds", "stars", "explicit")}

    @tool(requires=_PLAYING, returns={"stars": float})
    def rate_track(self, track: str, stars: Stars) -> dict[str, Any]:
        """Rate a track; the answer is its new mean.

        Args:
            track: Id of the track.
            stars: The listener's rating.
        """
        one = self.record("tracks", track)
        one["stars"] = round((one["stars"] + stars) / 2, 2)
        return {"stars": one["stars"]}

    @tool(requires=_PLAYING, returns={"playlist": str})
    def create_playlist(
        self, playlist_name: str, public: bool = False, tracks: list[str] | None = None
    ) -> dict[str, Any]:
        """Make a playlist.

        Args:
            playlist_name: How it is called.
            public: Whether everybody may open it.
            tracks: Ids of what is in it at first.
        """
        for track in tracks or ():
            self.record("tracks", track)
        record = {"playlist_name": playlist_name, "owner": self._me(), "public": public}
        return {"playlist": self.add("playlists", {**record, "tracks": list(tracks or ())})}

    @tool(returns={"playlist": str, "length": int})
    def find_playlist(self, playlist_name: str) -> dict[str, Any]:
        """Look up a playlist.

        Args:
            playlist_name: How it is called.
        """
        playlist = self.find("playlists", playlist_name=playlist_name)
        return {"playlist": playlist, "length": len(self.state["playlists"][playlist]["tracks"])}

    @tool(returns={"tracks": list[TrackLine], "seconds": int})
    def open_playlist(self, playlist: str) -> dict[str, Any]:
        """List what is in a playlist, and how long it takes.

        Args:
            playlist: Id of the playlist, which is public or one's own.
        """
        one = self.record("playlists", playlist)
        if not one["public"] and one["owner"] != self._me():
            raise ToolError(f"{playlist} is private")
        lines = [self._line(track) for track in one["tracks"]]
        return {"tracks": lines, "seconds": sum(int(line["seconds"]) for line in lines)}

    @tool(requires=_PLAYING, returns={"length": int})
    def add_to_playlist(
        self, playlist: str, tracks: list[str], position: Annotated[int, Between(minimum=0)] | None = None
    ) -> dict[str, Any]:
        """Add tracks to a playlist.

        Args:
            playlist: Id of the playlist.
            tracks: Ids of the tracks.
            position: Before which place, counted from 0; left out, at the end.
        """
        held = self._own(playlist)["tracks"]
        for track in tracks:
            self.record("tracks", track)
        place = len(held) if position is None else position
        if place > len(held) or not tracks:
            raise ToolError(f"there is nothing to add, or {playlist} has only {len(held)} tracks")
        held[place:place] = tracks
        return {"length": len(held)}

    @tool(requires=_PLAYING, returns={"length": int})
    def remove_from_playlist(self, playlist: str, track: str) -> dict[str, Any]:
        """Take a track out of a playlist.

        Args:
            playlist: Id of the playlist.
            track: Id of the track.
        """
        held = self._own(playlist)["tracks"]
        if track not in held:
            raise ToolError(f"{track} is not in {playlist}")
        held.remove(track)
        return {"length": len(held)}

    @tool(requires=_PLAYING, returns={"link": str})
    def share_playlist(self, playlist: str, can_edit: bool = False) -> dict[str, Any]:
        """Make a link with which others can keep a playlist.

        Args:
            playlist: Id of the playlist.
            can_edit: Whether they may change it.
        """
        self._own(playlist)
        return {"link": self.add("links", {"playlist": playlist, "can_edit": can_edit})}

    @tool(requires=_PLAYING, returns={"playlist": str})
    def keep_shared(self, link: str, playlist_name: str) -> dict[str, Any]:
        """Keep a copy of a shared playlist.

        Args:
            link: As `share_playlist` tells it.
            playlist_name: How the copy is called.
        """
        tracks = self.record("playlists", self.record("links", link)["playlist"])["tracks"]
        record = {"playlist_name": playlist_name, "owner": self._me(), "public": False}
        return {"playlist": self.add("playlists", {**record, "tracks": list(tracks)})}

    @tool(requires=_PLAYING, returns={"deleted": bool})
    def delete_playlist(self, playlist: str) -> dict[str, Any]:
        """Delete a playlist, and the links to it.

        Args:
            playlist: Id of the playlist.
        """
        self._own(playlist)
        del self.state["playlists"][playlist]
        links = self.state["links"]
        for link in [key for key, one in links.items() if one["playlist"] == playlist]:
            del links[link]
        return {"deleted": True}

    @tool(requires=_PLAYING, returns={"queued": int})
    def queue_track(self, track: str, first: bool = False) -> dict[str, Any]:
        """Put a track into the queue.

        Args:
            track: Id of the track.
            first: Whether it is played next.
        """
        self._playable(track)
        queue = self.state["player"]["queue"]
        queue.insert(0 if first else len(queue), track)
        return {"queued": len(queue)}

    @tool(requires=_PLAYING, returns={"now": str, "queued": int})
    def play_playlist(self, playlist: str, backwards: bool = False) -> dict[str, Any]:
        """Play a playlist instead of what is queued.

        Args:
            playlist: Id of the playlist.
            backwards: Whether it is played from its end.
        """
        tracks = list(self.record("playlists", playlist)["tracks"])
        if not tracks:
            raise ToolError(f"{playlist} is empty")
        for track in tracks:
            self._playable(track)
        now, *queue = tracks[::-1] if backwards else tracks
        self.state["player"].update(now=now, queue=queue)
        return {"now": now, "queued": len(queue)}

    @tool(requires=_PLAYING, returns={"now": str, "queued": int})
    def skip_track(self) -> dict[str, Any]:
        """Play the next track of the queue."""
        player = self.state["player"]
        if not player["queue"]:
            raise ToolError("nothing is queued")
        player["now"] = player["queue"].pop(0)
        return {"now": player["now"], "queued": len(player["queue"])}

    @tool(requires=_PLAYING, returns={"volume": float, "bass": int, "repeat": str})
    def set_sound(self, sound: Sound) -> dict[str, Any]:
        """Set how the music sounds.

        Args:
            sound: What is left out is as it is at first.
        """
        self.state["player"]["sound"] = asdict(sound)
        return asdict(sound)

    def _me(self) -> str:
        return str(self.state["player"].get("listener"))

    def _line(self, track: str) -> dict[str, Any]:
        one = self.record("tracks", track)
        return {"track": track, "title": one["title"], "seconds": one["seconds"]}

    def _own(self, playlist: str) -> dict[str, Any]:
        one = self.record("playlists", playlist)
        if one["owner"] != self._me():
            raise ToolError(f"{playlist} belongs to {one['owner']}")
        return one

    def _playable(self, track: str) -> None:
        if self.record("tracks", track)["explicit"] and not self.state["player"]["explicit"]:
            raise ToolError(f"{track} is explicit")

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Listeners with a playlist each, artists, and three tracks of every artist."""
        draw = Draw(random, size)
        names = draw.people(2 * draw.size)
        genres = ("jazz", "folk", "rock", "classical", "electronic")
        listeners = draw.table(
            "listeners",
            "L",
            ({"name": name, "password": f"pw-{draw.code(5)}", "follows": {}} for name in names[: draw.size]),
        )
        artists = draw.table(
            "artists",
            "AR",
            ({"artist_name": name, "genre": draw.one(genres)} for name in names[draw.size :]),
        )
        first, second = ("Blue", "Slow", "Last", "Open", "Silver"), ("Harbour", "Winter", "Signal", "Garden")
        titles = random.sample([f"{one} {other}" for one in first for other in second], 20)
        tracks = [
            {
                **{"title": f"{titles[place % 20]} {place // 20 + 1}", "artist": artist},
                **{"genre": draw.config["artists"][artist]["genre"], "seconds": draw.number(90, 420)},
                **{"stars": draw.amount(1, 5, 1), "explicit": draw.number(0, 5) == 0},
            }
            for place, artist in enumerate(artist for artist in artists for _ in range(3))
        ]
        ids = draw.table("tracks", "T", tracks)
        playlists = (
            {
                **{"playlist_name": f"{draw.one(first)} days {place + 1}", "owner": listener},
                **{"public": bool(draw.number(0, 1)), "tracks": draw.some(ids, 3)},
            }
            for place, listener in enumerate(listeners)
        )
        draw.table("playlists", "PL", playlists, spare=draw.size + 4)
        draw.table("links", "K", (), spare=draw.size + 4)
        return draw.config
