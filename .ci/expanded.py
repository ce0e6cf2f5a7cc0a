"""Expands what the transform AWS::LanguageExtensions expands in our templates, and nothing else.

The SAM CLI also resolves parameters and conditions when it expands a template. Tests and linters need both as they are written.
"""

LOOP = "Fn::ForEach::"


def expanded(template):
    """Returns a template with its loops expanded, and with look-ups in mappings and names in references made literal."""
    template = {name: part for name, part in template.items() if name != "Transform"}
    return _simplified(_unrolled(template, {}), template.get("Mappings", {}))


def _unrolled(value, variables):
    if isinstance(value, list):
        return [_unrolled(item, variables) for item in value]
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace(f"${{{name}}}", text)
        return value
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"} and isinstance(value["Ref"], str) and value["Ref"] in variables:
        return variables[value["Ref"]]
    result = {}
    for name, part in value.items():
        if name.startswith(LOOP):
            variable, collection, body = part
            for item in collection:
                result |= _unrolled(body, {**variables, variable: item})
        else:
            result[_unrolled(name, variables)] = _unrolled(part, variables)
    return result


def _simplified(value, mappings):
    if isinstance(value, list):
        return [_simplified(item, mappings) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: _simplified(part, mappings) for name, part in value.items()}
    if value.keys() == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str) and "${" not in value["Fn::Sub"]:
        return value["Fn::Sub"]
    if value.keys() == {"Fn::FindInMap"}:
        mapping, first, second, *default = value["Fn::FindInMap"]
        found = mappings[mapping][first]
        return found[second] if second in found or not default else default[0]["DefaultValue"]
    return value


if __name__ == "__main__":
    # Prints the template as JSON, for linters that do not know loops.
    import json
    from pathlib import Path

    from samtranslator.yaml_helper import yaml_parse

    text = (Path(__file__).resolve().parent.parent / "template.yaml").read_text()
    print(json.dumps(expanded(yaml_parse(text)), indent=1, default=str))
