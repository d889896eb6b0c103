"""Bodies of the size accepted by default that are as hard to read as their shape can make them."""

DEFAULT_MAX_BYTES = 8 * 1024 * 1024
CHAT = b'{"model":"m","messages":[{"role":"user","content":"a"}],'
INPUT = b'{"model":"m","input":['


def fill(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As often the unit as fits."""
    return start + unit * ((DEFAULT_MAX_BYTES - len(start) - len(end)) // len(unit)) + end


TEXT = b'{"model":"m","messages":[{"role":"user","content":"'
CHATS = {
    "members": CHAT + b",".join(b'"%d":1' % n for n in range(700_000)) + b"}",
    "one member": fill(CHAT, b'"a":1,', b'"a":1}'),
    "long names": CHAT + b",".join(b'"%d%s":1' % (n, b"\\u0061" * 9000) for n in range(140)) + b"}",
    "texts, then brackets": fill(CHAT + b'"user":[', b'"",', b"[" * 100),
    "brackets in texts": fill(CHAT + b'"user":[', b'"[",', b'""]}'),
    "texts of escapes": fill(CHAT + b'"user":["[' + b"[" * 70, b'\\"', b'"]}'),
    "lists": fill(CHAT + b'"user":[', b"[1],", b"[1]]}"),
    "objects": fill(CHAT + b'"user":[', b'{"a":1},', b"1]}"),
    "towers": fill(CHAT + b'"user":[', b"[" * 60 + b"]" * 60 + b",", b"1]}"),
    "messages": fill(b'{"model":"m","messages":[', b'{"role":""},', b'{"role":""}]}'),
    "parts": fill(b'{"model":"m","messages":[{"role":"","content":[', b'{"type":""},', b"1]}]}"),
    "tools": fill(CHAT + b'"tools":[', b'{"type":""},', b'{"type":""}]}'),
    "modalities": fill(CHAT + b'"modalities":[', b'"",', b'""]}'),
    "plain text": fill(TEXT, b"abcd", b'"}]}'),
    "text of every width": fill(TEXT, "aé研😀".encode(), b'"}]}'),
    "escaped quotes": fill(TEXT, b'\\"', b'"}]}'),
    "escaped line ends": fill(TEXT, b"\\n", b'"}]}'),
    "escaped characters": fill(TEXT, b"\\ud83d\\ude00", b'"}]}'),
    "JSON in a text": fill(TEXT, '{\\"é\\":[1,2]},'.encode(), b'"}]}'),
    "outline in a text": fill(TEXT, b'\\":[', b'"}]}'),
    "backslashes in a text": fill(TEXT, b"\\\\:", b'"}]}'),
    "JSON in tools": CHAT
    + b'"tools":['
    + b",".join([b'{"type":"function","x":"' + b'\\"' * 8000 + b'"}'] * 500)
    + b"]}",
    "numbers": fill(CHAT + b'"user":[', b"1,", b"1]}"),
    "spaces": fill(CHAT + b'"user":[', b" ", b"1]}"),
    "as many parts as there may be": CHAT
    + b'"user":[["a'
    + b"b" * 7_000_000
    + b'"],'
    + b",".join([b'{"a":1,"b":2,"c":3,"d":"e"}'] * 16_000)
    + b"]}",
    "names": CHAT
    + b'"user":[{'
    + b",".join([b'"%d%s":""' % (n, b"n" * 110) for n in range(65_000)])
    + b"}]}",
    "names of escapes": CHAT
    + b'"user":[{'
    + b",".join([b'"%d%s":1' % (n, b"\\u0061" * 20) for n in range(60_000)])
    + b"}]}",
    "a thousand deep": CHAT + b'"user":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "very deep": CHAT + b'"user":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "never closed": fill(CHAT + b'"user":', b"[", b""),
}
EMBEDDINGS = {
    "texts": fill(INPUT, b'"",', b'""]}'),
    "ids": fill(INPUT, b"1,", b"1]}"),
    "mixed": fill(INPUT + b'"",', b"1,", b"1]}"),
    "lists": fill(INPUT, b"[1],", b"[1]]}"),
    "long lists": INPUT + b",".join([b"[" + b"1," * 2000 + b"1]"] * 2000) + b"]}",
    "as many texts as there may be": INPUT
    + b",".join([b'"' + "é\\n".encode() * 1000 + b'"'] * 2040)
    + b"]}",
    "as many ids as there may be": INPUT + b",".join([b"1234567890123456789"] * 299_000) + b"]}",
    "more texts": INPUT + b",".join([b'"' + b"a\\n" * 14 + b'"'] * 131_000) + b"]}",
    "escapes": fill(INPUT, b'"\\"",', b'""]}'),
}
