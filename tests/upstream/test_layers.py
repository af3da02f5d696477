"""No module of `proxy.upstream` leads back to itself by its imports; imports for types count too."""

import grimp

PACKAGE = "proxy.upstream"


def test_imports_go_round_in_no_circle() -> None:
    graph = grimp.build_graph("proxy", exclude_type_checking_imports=False, cache_dir=None)
    inside = graph.find_descendants(PACKAGE)
    imports = {module: graph.find_modules_directly_imported_by(module) & inside for module in inside}
    left = set(inside)
    while free := {module for module in left if not imports[module] & left}:
        left -= free
    assert not left, {module: imports[module] & left for module in sorted(left)}
