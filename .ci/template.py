#!/usr/bin/env python3
"""Prepares what .ci/deploy gives to CloudFormation. Needs nothing but Python 3.11: the template is handled as text.

template.py parameters ENVIRONMENT          prints the parameters as JSON: the template's defaults, samconfig.toml, PARAMETERS
template.py render ARTIFACTS PARAMETERS     prints the template with the addresses of the zips in S3
template.py expand BEFORE AFTER             prints BEFORE with the migrate function of AFTER and its parameters
template.py next AFTER PARAMETERS           prints the parameters that `expand` adds, as JSON
template.py pairs PARAMETERS                prints the parameters as Name=value, one a line
template.py back BEFORE                     prints BEFORE without canary rollouts

ARTIFACTS has a line for each function: name, zip, address. PARAMETERS is a file that `parameters` wrote.
"""

import hashlib
import json
import os
import re
import sys
import tomllib
from pathlib import Path

MIGRATE = "PhoneNumbersMigrate"
# The prefix of what the migrate function of the next deployment refers to.
NEXT = "Next"


class Refused(Exception):
    """The parameters or the template cannot be deployed."""


class Template:
    """A template of our own layout: sections begin in the first column, their members after two blanks."""

    def __init__(self, text):
        self.sections = {}
        section = members = None
        for line in text.splitlines():
            if found := re.match(r"([A-Z]\w*):", line):
                section = self.sections[found[1]] = {"": [line]}
                members = section[""]
            elif section is None:
                section = self.sections.setdefault("", {"": []})
                members = section[""]
                members.append(line)
            elif found := re.match(r"  ([A-Za-z][\w:]*):", line):
                members = section[found[1]] = [line]
            else:
                members.append(line)

    def text(self):
        return "\n".join(line for section in self.sections.values() for lines in section.values() for line in lines) + "\n"

    def names(self, section):
        return [name for name in self.sections.get(section, {}) if name]

    def member(self, section, name):
        return "\n".join(self.sections[section][name])


def default(text):
    """Returns the default in the text of a parameter, or None."""
    text = re.sub(r'Description: "(?:[^"\\]|\\.)*"', "", text)
    found = re.search(r"""\bDefault: (?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^,}\n]+))""", text)
    return next((group for group in found.groups() if group is not None), None) if found else None


def parameters(environment, given):
    """Returns every parameter with a value. One that is given nowhere has its default, whatever the stack had before."""
    template = Template(Path("template.yaml").read_text())
    values = {name: default(template.member("Parameters", name)) for name in template.names("Parameters")}
    with open("samconfig.toml", "rb") as file:
        configured = tomllib.load(file)[environment]["deploy"]["parameters"]["parameter_overrides"]
    for source, lines in (("samconfig.toml", configured), ("PARAMETERS", given.splitlines())):
        for line in filter(None, map(str.strip, lines)):
            name, separator, value = line.partition("=")
            if not separator:
                raise Refused(f"{source} has the line {line!r}, which is not Name=value")
            if name not in values:
                raise Refused(f"{source} sets {name}, and template.yaml has no such parameter")
            values[name] = value
    return {name: value for name, value in values.items() if value is not None}


def configuration(values):
    """Returns a word that changes whenever a value does."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def render(text, artifacts, values):
    """Returns the template with the addresses of the zips, and with a digest of everything that a function's version depends on.

    SAM publishes a version when the digest changes, and writes it into the function's description, so that Lambda publishes it.
    """
    template = Template(text)
    common = template.text().split("\nGlobals:\n")[1].split("\nResources:\n")[0]
    for name in template.names("Resources"):
        member = template.member("Resources", name)
        found = re.search(r"^      CodeUri: functions/(\S+)$", member, re.M)
        if not found:
            continue
        if found[1] not in artifacts:
            raise Refused(f"there is no artifact of {found[1]}")
        address = artifacts[found[1]]
        digest = hashlib.sha256("\n".join([address, common, member, configuration(values)]).encode()).hexdigest()[:16]
        edited = member.replace(found[0], f"      CodeUri: {address}\n      AutoPublishCodeSha256: {digest}")
        template.sections["Resources"][name] = edited.split("\n")
    return template.text()


def renamed(text, names, conditions):
    """Returns a text whose references to parameters and conditions begin with `NEXT`."""
    text = re.sub(r"(!Ref |Ref: |\$\{)(\w+)", lambda found: found[1] + (NEXT if found[2] in names else "") + found[2], text)
    branch = r"(!If \[|!If\s+- |!Condition |Condition: |Fn::If: \[)(\w+)"
    return re.sub(branch, lambda found: found[1] + (NEXT if found[2] in conditions else "") + found[2], text)


def referred(text, names):
    """Returns the members of `names` that a text refers to."""
    return {name for name in re.findall(r"\w+", text) if name in names}


def migrate_closure(after):
    """Returns the members of Resources that migrate consists of, and the conditions and parameters that they need."""
    resources = [name for name in after.names("Resources") if name.startswith(MIGRATE)]
    text = "\n".join(after.member("Resources", name) for name in resources)
    conditions = referred(text, after.names("Conditions"))
    while True:
        more = conditions.union(*(referred(after.member("Conditions", name), after.names("Conditions")) for name in conditions))
        if more == conditions:
            break
        conditions = more
    text += "\n".join(after.member("Conditions", name) for name in conditions)
    return resources, conditions, referred(text, after.names("Parameters"))


def expand(before, after):
    """Returns the template `before` with the migrate function of `after`.

    What that function refers to gets parameters of its own, so that migrations run with the parameters that are about to be
    deployed while everything else keeps the old ones.
    """
    before, after = Template(before), Template(after)
    for section in ("Parameters", "Conditions"):
        kept = before.sections[section]
        before.sections[section] = {name: lines for name, lines in kept.items() if not name.startswith(NEXT)}
    kept = before.sections["Resources"]
    before.sections["Resources"] = {name: lines for name, lines in kept.items() if not name.startswith(MIGRATE)}
    resources, conditions, names = migrate_closure(after)
    for section, members in (("Parameters", names), ("Conditions", conditions), ("Resources", resources)):
        for name in sorted(members):
            prefix = "" if section == "Resources" else NEXT
            member = renamed(after.member(section, name), names, conditions)
            before.sections[section][prefix + name] = re.sub(r"^  ", f"  {prefix}", member, count=1).split("\n")
    return before.text()


def next_parameters(after, values):
    """Returns the values of the parameters that `expand` adds. The stack keeps the values of the others."""
    _, _, names = migrate_closure(Template(after))
    return {NEXT + name: values[name] for name in sorted(names) if name in values}


def back(before):
    """Returns a template that is deployed without canary rollouts: the way back must not wait for the alarm that rings."""
    return before.replace("Enabled: !Ref CanaryRollout", "Enabled: false")


def as_json(values):
    return json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in sorted(values.items())], indent=1)


def read_parameters(path):
    return {pair["ParameterKey"]: pair["ParameterValue"] for pair in json.loads(Path(path).read_text())}


def main(command, *arguments):
    read = [Path(path).read_text() for path in arguments] if command != "parameters" else []
    if command == "parameters":
        values = parameters(arguments[0], os.environ.get("PARAMETERS", ""))
        values["Architecture"] = os.environ["ARCHITECTURE"]
        if boundary := os.environ.get("PERMISSIONS_BOUNDARY_ARN"):
            values["PermissionsBoundaryArn"] = boundary
        # The two that do not count: they say how the stack is deployed.
        values = {name: value for name, value in values.items() if name not in ("Configuration", "Started")}
        return as_json({**values, "Configuration": configuration(values), "Started": "true"})
    if command == "render":
        artifacts = {name: address for name, _, address in (line.split(" ") for line in read[0].splitlines())}
        values = {name: value for name, value in read_parameters(arguments[1]).items() if name != "Started"}
        return render(Path("template.yaml").read_text(), artifacts, values).rstrip("\n")
    if command == "expand":
        return expand(*read).rstrip("\n")
    if command == "next":
        return as_json(next_parameters(read[0], read_parameters(arguments[1])))
    if command == "pairs":
        return "\n".join(f"{name}={value}" for name, value in read_parameters(arguments[0]).items())
    if command == "back":
        return back(read[0]).rstrip("\n")
    raise Refused(f"there is no command {command}")


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except Refused as refused:
        sys.exit(str(refused))
