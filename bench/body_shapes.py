"""Bodies of the size accepted by default that are as hard to read as their shape can make them."""

from collections.abc import Callable, Iterator, Mapping

DEFAULT_MAX_BYTES = 8 * 1024 * 1024
CHAT = b'{"model":"m","messages":[{"role":"user","content":"a"}],'
INPUT = b'{"model":"m","input":['


def fill(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As often the unit as fits."""
    return start + unit * ((DEFAULT_MAX_BYTES - len(start) - len(end)) // len(unit)) + end


class Bodies(Mapping[str, bytes]):
    """Bodies by the names of their shapes, each made anew when it is asked for: together they are hundreds of megabytes."""

    def __init__(self, makers: dict[str, Callable[[], bytes]]) -> None:
        """Hold how each body is made."""
        self._makers = makers

    def __getitem__(self, shape: str) -> bytes:
        return self._makers[shape]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


TEXT = b'{"model":"m","messages":[{"role":"user","content":"'
CHATS = Bodies(
    {
        "members": lambda: CHAT + b",".join(b'"%d":1' % n for n in range(700_000)) + b"}",
        "one member": lambda: fill(CHAT, b'"a":1,', b'"a":1}'),
        "long names": lambda: (
            CHAT + b",".join(b'"%d%s":1' % (n, b"\\u0061" * 9000) for n in range(140)) + b"}"
        ),
        "texts, then brackets": lambda: fill(CHAT + b'"user":[', b'"",', b"[" * 100),
        "brackets in texts": lambda: fill(CHAT + b'"user":[', b'"[",', b'""]}'),
        "texts of escapes": lambda: fill(CHAT + b'"user":["[' + b"[" * 70, b'\\"', b'"]}'),
        "lists": lambda: fill(CHAT + b'"user":[', b"[1],", b"[1]]}"),
        "objects": lambda: fill(CHAT + b'"user":[', b'{"a":1},', b"1]}"),
        "towers": lambda: fill(CHAT + b'"user":[', b"[" * 60 + b"]" * 60 + b",", b"1]}"),
        "messages": lambda: fill(b'{"model":"m","messages":[', b'{"role":""},', b'{"role":""}]}'),
        "parts": lambda: fill(
            b'{"model":"m","messages":[{"role":"","content":[', b'{"type":""},', b"1]}]}"
        ),
        "tools": lambda: fill(CHAT + b'"tools":[', b'{"type":""},', b'{"type":""}]}'),
        "modalities": lambda: fill(CHAT + b'"modalities":[', b'"",', b'""]}'),
        "plain text": lambda: fill(TEXT, b"abcd", b'"}]}'),
        "text of every width": lambda: fill(TEXT, "aé研😀".encode(), b'"}]}'),
        "escaped quotes": lambda: fill(TEXT, b'\\"', b'"}]}'),
        "escaped line ends": lambda: fill(TEXT, b"\\n", b'"}]}'),
        "escaped characters": lambda: fill(TEXT, b"\\ud83d\\ude00", b'"}]}'),
        "JSON in a text": lambda: fill(TEXT, '{\\"é\\":[1,2]},'.encode(), b'"}]}'),
        "outline in a text": lambda: fill(TEXT, b'\\":[', b'"}]}'),
        "backslashes in a text": lambda: fill(TEXT, b"\\\\:", b'"}]}'),
        "JSON in tools": lambda: (
            CHAT
            + b'"tools":['
            + b",".join([b'{"type":"function","x":"' + b'\\"' * 8000 + b'"}'] * 500)
            + b"]}"
        ),
        "numbers": lambda: fill(CHAT + b'"user":[', b"1,", b"1]}"),
        "spaces": lambda: fill(CHAT + b'"user":[', b" ", b"1]}"),
        "as many parts as there may be": lambda: (
            CHAT
            + b'"user":[["a'
            + b"b" * 7_000_000
            + b'"],'
            + b",".join([b'{"a":1,"b":2,"c":3,"d":"e"}'] * 16_000)
            + b"]}"
        ),
        "names": lambda: (
            CHAT
            + b'"user":[{'
            + b",".join([b'"%d%s":""' % (n, b"n" * 110) for n in range(65_000)])
            + b"}]}"
        ),
        "names of escapes": lambda: (
            CHAT
            + b'"user":[{'
            + b",".join([b'"%d%s":1' % (n, b"\\u0061" * 20) for n in range(60_000)])
            + b"}]}"
        ),
        "a thousand deep": lambda: CHAT + b'"user":' + b"[" * 1000 + b"]" * 1000 + b"}",
        "very deep": lambda: CHAT + b'"user":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "never closed": lambda: fill(CHAT + b'"user":', b"[", b""),
    }
)
EMBEDDINGS = Bodies(
    {
        "texts": lambda: fill(INPUT, b'"",', b'""]}'),
        "ids": lambda: fill(INPUT, b"1,", b"1]}"),
        "mixed": lambda: fill(INPUT + b'"",', b"1,", b"1]}"),
        "lists": lambda: fill(INPUT, b"[1],", b"[1]]}"),
        "long lists": lambda: INPUT + b",".join([b"[" + b"1," * 2000 + b"1]"] * 2000) + b"]}",
        "as many texts as there may be": lambda: (
            INPUT + b",".join([b'"' + "é\\n".encode() * 1000 + b'"'] * 2040) + b"]}"
        ),
        "as many ids as there may be": lambda: (
            INPUT + b",".join([b"1234567890123456789"] * 299_000) + b"]}"
        ),
        "more texts": lambda: INPUT + b",".join([b'"' + b"a\\n" * 14 + b'"'] * 131_000) + b"]}",
        "escapes": lambda: fill(INPUT, b'"\\"",', b'""]}'),
    }
)
