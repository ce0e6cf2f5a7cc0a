"""Tests that pipeline.yaml allows exactly what a deployment of template.yaml needs, for the environments that GitHub deploys.

Runs under the Python of the SAM CLI, as test_template.py does.
"""

import logging
import re
import tomllib
import unittest

import yaml
from samtranslator.yaml_helper import yaml_parse

from test_template import ROOT, as_list, transformed

# Read actions that cannot be restricted to resources.
WILDCARDS = {
    "CloudFormationRole": {
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "lambda:GetAccountSettings",
        "logs:DescribeLogGroups",
    },
    "DeployRole": {"cloudformation:GetTemplateSummary"},
}
# Prefixes of actions that differ from the service's name in resource types.
PREFIXES = {"ApiGatewayV2": "apigateway"}


class Pipeline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = yaml_parse((ROOT / "pipeline.yaml").read_text())

    def statements(self, role):
        policy, = self.template["Resources"][role]["Properties"]["Policies"]
        return policy["PolicyDocument"]["Statement"]

    def test_cloudformation_may_change_exactly_the_resource_types_of_the_stack(self):
        types = {resource["Type"] for resource in transformed(CanaryRollout="true")["Resources"].values()}
        services = {name.split("::")[1] for name in types}
        needed = {PREFIXES.get(service, service.lower()) for service in services}
        # For the artifacts, the SAM transform and the functions' subnets.
        needed |= {"s3", "cloudformation", "ec2"}
        allowed = {action.split(":")[0] for statement in self.statements("CloudFormationRole") for action in as_list(statement["Action"])}
        self.assertEqual(needed, allowed)

    def test_only_read_actions_are_allowed_on_all_resources(self):
        for role, wildcards in WILDCARDS.items():
            found = [as_list(statement["Action"]) for statement in self.statements(role) if statement["Resource"] == "*"]
            self.assertEqual(set(sum(found, [])), wildcards)

    def test_roles_can_be_passed_only_to_the_services_that_assume_them(self):
        for role in WILDCARDS:
            for statement in self.statements(role):
                if "iam:PassRole" in as_list(statement["Action"]):
                    self.assertIn("iam:PassedToService", statement["Condition"]["StringEquals"])

    def test_a_job_can_assume_only_the_role_of_its_environment(self):
        trust, = self.template["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(trust["Condition"], {"StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Fn::Sub": "repo:${Repository}:environment:${Environment}"},
        }})

    def test_github_deploys_the_environments_of_samconfig(self):
        environments = self.template["Parameters"]["Environment"]["AllowedValues"]
        workflow = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
        job = workflow["jobs"]["deploy"]
        self.assertEqual(job["strategy"]["matrix"]["environment"], environments)
        self.assertEqual(job["environment"], "${{ matrix.environment }}")
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        self.assertEqual([name for name, commands in configured.items() if isinstance(commands, dict) and "deploy" in commands], environments)
        for name in environments:
            self.assertEqual(configured[name]["deploy"]["parameters"]["stack_name"], f"phone-numbers-{name}")

    def test_the_workflow_reads_each_output_from_a_variable(self):
        descriptions = [output["Description"] for output in self.template["Outputs"].values()]
        variables = [found[1] for found in (re.search(r"variable ([A-Z_]+) of the GitHub environment", text) for text in descriptions) if found]
        self.assertEqual(len(variables), 3)
        workflow = (ROOT / ".github/workflows/deploy.yml").read_text()
        for name in variables:
            self.assertIn("${{ vars.%s }}" % name, workflow)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    unittest.main()
