r"""A `Report` enters; a configuration for bloaty leaves, with the data source `module`.

    bloaty -c kernel.bloaty -d module,compileunits vmlinux

bloaty knows compilation units, by the debug data of the image (CONFIG_DEBUG_INFO), and not modules. The configuration
is a message `bloaty.Options` as text (src/bloaty.proto of bloaty 1.1), its patterns are RE2:

    custom_data_source {
      name: "module"
      base_data_source: "compileunits"
      rewrite { pattern: "(^|/)fs/ext4/(balloc|inode)\\.[cS]$" replacement: "ext4" }
    }
"""

from __future__ import annotations

import json
import os
import posixpath
from collections import defaultdict

from kallmodsyms.report.account import OBJECT
from kallmodsyms.report.model import Report
from kallmodsyms.report.tables import labels

_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


def configuration(report: Report) -> str:
    """The text of the configuration: an expression for each module and each directory that it has sources in."""
    sources: dict[tuple[str, str], set[str]] = defaultdict(set)
    for owner, facts, module in zip(report.account.owners, report.facts, labels(report, "module"), strict=True):
        if owner.kind == OBJECT and owner.modules:
            stem = os.path.splitext(facts.source or owner.name)[0]
            sources[module, posixpath.dirname(stem)].add(posixpath.basename(stem))
    rewrites = []
    for (module, directory), stems in sorted(sources.items()):
        pattern = rf"(^|/){_quoted(directory)}/({'|'.join(map(_quoted, sorted(stems)))})\.[a-zA-Z]+$"
        # A text of JSON is one of a text message, too.
        rewrites.append(f"  rewrite {{ pattern: {json.dumps(pattern)} replacement: {json.dumps(module)} }}\n")
    rewrites.append('  rewrite { pattern: ".*" replacement: "no module" }\n')
    head = 'custom_data_source {\n  name: "module"\n  base_data_source: "compileunits"\n'
    return head + "".join(rewrites) + "}\n"


def _quoted(text: str) -> str:
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in text)
