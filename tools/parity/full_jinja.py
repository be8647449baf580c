"""transformers renders the templates of rendered.json as the file says, which our tests compare with."""

import json

from checks import ROOT, check
from transformers.utils.chat_template_utils import _compile_jinja_template


def render(template):
    try:
        return _compile_jinja_template(template).render()
    except Exception:
        return None


@check("transformers renders rendered.json's templates as it says")
def _():
    cases = json.loads((ROOT / "packages/core/src/tokenizer/jinja/rendered.json").read_text(encoding="utf-8"))
    others = [case["template"] for case in cases if render(case["template"]) != case["rendered"]]
    assert len(cases) > 90 and not others, others
