"""What a key may be good for.

translate    texts: translation, scores, detection
documents    files
glossaries   to make, change and remove them; to use one, `translate` is enough
evaluate     jobs that measure models
admin        all of these
"""

from typing import Literal, get_args

KeyScope = Literal["translate", "documents", "glossaries", "evaluate", "admin"]
SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)
USUAL = SCOPES[:3]
"""Those of a key that is made without a word about them."""
