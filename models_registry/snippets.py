"""First calls to a model, ready to be copied: curl, Python and JavaScript with the OpenAI client."""

import json
from dataclasses import dataclass

from django.conf import settings

from models_registry.models import AiModel, ModelKind

KEY_VARIABLE = "LATCHKEY_API_KEY"
_SAID = "Say hello in one sentence."


@dataclass(frozen=True)
class Snippet:
    language: str
    text: str


def snippets_for(model: AiModel) -> list[Snippet]:
    """The same call in each language; the key is read from the environment."""
    return [
        Snippet("curl", curl(model)),
        Snippet("Python", _python(model)),
        Snippet("JavaScript", _javascript(model)),
    ]


def curl(model: AiModel) -> str:
    path, body = "chat/completions", {"model": model.name} | example_input(model.kind)
    if model.kind == ModelKind.EMBEDDINGS:
        path = "embeddings"
    return (
        f"curl {_base_url()}/{path} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d '{json.dumps(body)}'"
    )


def curl_of_list() -> str:
    """The call that any key can make: which models it may use."""
    return f'curl {_base_url()}/models -H "Authorization: Bearer ${KEY_VARIABLE}"'


def with_key(command: str, key_text: str) -> str:
    """The command as it works in a fresh shell."""
    return f"export {KEY_VARIABLE}='{key_text}'\n{command}"


def _base_url() -> str:
    return f"{settings.LATCHKEY_BASE_URL}/v1"


def example_input(kind: str) -> dict[str, object]:
    """The members of a first call's body beside the model's name."""
    if kind == ModelKind.EMBEDDINGS:
        return {"input": _SAID}
    return {"messages": [{"role": "user", "content": _SAID}]}


def _python(model: AiModel) -> str:
    is_chat = model.kind != ModelKind.EMBEDDINGS
    call = "chat.completions" if is_chat else "embeddings"
    shown = "answer.choices[0].message.content" if is_chat else "answer.data[0].embedding"
    (name, value), *_ = example_input(model.kind).items()
    return (
        "import os\n\n"
        "from openai import OpenAI\n\n"
        "client = OpenAI(\n"
        f'    base_url="{_base_url()}",\n'
        f'    api_key=os.environ["{KEY_VARIABLE}"],\n'
        ")\n"
        f"answer = client.{call}.create(\n"
        f'    model="{model.name}",\n'
        f"    {name}={json.dumps(value)},\n"
        ")\n"
        f"print({shown})"
    )


def _javascript(model: AiModel) -> str:
    is_chat = model.kind != ModelKind.EMBEDDINGS
    call = "chat.completions" if is_chat else "embeddings"
    shown = "answer.choices[0].message.content" if is_chat else "answer.data[0].embedding"
    (name, value), *_ = example_input(model.kind).items()
    return (
        'import OpenAI from "openai";\n\n'
        "const client = new OpenAI({\n"
        f'  baseURL: "{_base_url()}",\n'
        f"  apiKey: process.env.{KEY_VARIABLE},\n"
        "});\n"
        f"const answer = await client.{call}.create({{\n"
        f'  model: "{model.name}",\n'
        f"  {name}: {json.dumps(value)},\n"
        "});\n"
        f"console.log({shown});"
    )
