"""Makes the oracles of tests/oracle importable as `oracle`, without tests/ itself on the path, which has a `state`."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if "oracle" not in sys.modules:
    folder = Path(__file__).parents[1] / "oracle"
    spec = spec_from_file_location("oracle", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["oracle"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)

sys.path.append(str(Path(__file__).parent / "rules"))  # the naive reading of rules, random rules
