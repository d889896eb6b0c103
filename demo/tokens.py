"""The demonstration's tokenizer, simple enough to count by hand.

A token is up to six letters, digits or underscores, or one other visible character, together with
the white space before it; white space at the very end is one token. Joined again, the tokens are
the text. A chat prompt costs its tokens, three for each message and three for the reply's start.
"""

import re

TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])|\s+")
TOKENS_PER_MESSAGE = 3
TOKENS_PER_REPLY = 3
TOKENS_PER_PART_WITHOUT_TEXT = 85


def split_tokens(text: str) -> list[str]:
    """Cut a text into its tokens, losing nothing: joined, they are the text again."""
    return TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Say how many tokens a text has."""
    return len(TOKEN.findall(text))
