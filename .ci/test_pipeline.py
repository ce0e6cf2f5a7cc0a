"""Tests that pipeline.yaml allows exactly what a deployment of template.yaml needs, for the environments that GitHub deploys.

Runs under the Python of the SAM CLI, as test_template.py does.
"""

import logging
import re
import tomllib
import unittest
from fnmatch import fnmatchcase

import yaml
from samtranslator.yaml_helper import yaml_parse

from test_template import ROOT, as_list, resolved, transformed, without_conditions

# Actions that cannot be restricted to resources: reading, and the access logs of APIs and saved queries.
WILDCARDS = {
    "CloudFormationRole": {
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "lambda:GetAccountSettings",
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DeleteQueryDefinition",
        "logs:DescribeLogGroups",
        "logs:DescribeQueryDefinitions",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutQueryDefinition",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    },
    "DeployRole": {"cloudformation:GetTemplateSummary"},
}
DEV = {"Environment": "dev", "Repository": "acme/numbers", "OwnerId": "11", "RepositoryId": "22", "Branch": "main", "OidcProviderArn": "arn:oidc",
       "ArtifactsBucket": "dev-artifacts", "ArtifactsBucket.Arn": "arn:aws:s3:::dev-artifacts", "Boundary": "arn:boundary", "AWS::URLSuffix": "amazonaws.com"}
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

    def test_only_known_actions_are_allowed_on_all_resources(self):
        for role, wildcards in WILDCARDS.items():
            statements = [statement for statement in self.statements(role) if statement["Effect"] == "Allow"]
            found = [as_list(statement["Action"]) for statement in statements if statement["Resource"] == "*"]
            self.assertEqual(set(sum(found, [])), wildcards)

    def test_roles_can_be_passed_only_to_the_services_that_assume_them(self):
        for role in WILDCARDS:
            for statement in self.statements(role):
                if "iam:PassRole" in as_list(statement["Action"]):
                    self.assertIn("iam:PassedToService", statement["Condition"]["StringEquals"])

    def trust(self, **parameters):
        given = {**DEV, **parameters}
        trust, = resolved(self.template["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"], given, self.template)
        self.assertEqual(trust["Condition"].keys(), {"StringEquals"})
        return {key.removeprefix("token.actions.githubusercontent.com:"): as_list(value) for key, value in trust["Condition"]["StringEquals"].items()}

    def test_a_job_can_assume_only_the_role_of_its_environment_from_the_branch_through_the_approving_workflow(self):
        self.assertEqual(self.trust(), {
            "aud": ["sts.amazonaws.com"],
            "sub": ["repo:acme/numbers:environment:dev", "repo:acme@11/numbers@22:environment:dev"],
            "repository_id": ["22"],
            "ref": ["refs/heads/main"],
            "job_workflow_ref": ["acme/numbers/.github/workflows/environment.yml@refs/heads/main"],
        })
        for values in self.trust().values():
            for value in values:
                self.assertNotRegex(value, r"[*?]")
        self.assertEqual(self.trust(Branch="release")["ref"], ["refs/heads/release"])

    def workflow(self, name):
        return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())

    def test_github_deploys_the_environments_of_samconfig_one_after_the_other(self):
        environments = self.template["Parameters"]["Environment"]["AllowedValues"]
        jobs = self.workflow("deploy")["jobs"]
        for name, before in zip(environments, [["checks", "build"], *([environment] for environment in environments)]):
            self.assertEqual(jobs[name]["uses"].split("/", 1)[1], ".github/workflows/environment.yml")
            self.assertEqual(jobs[name]["with"]["environment"], name)
            self.assertEqual(jobs[name]["needs"], ["artifacts", *before])
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        deployed = [name for name, commands in configured.items() if isinstance(commands, dict) and "stack_name" in commands.get("deploy", {}).get("parameters", {})]
        self.assertEqual(deployed, environments)
        for name in environments:
            self.assertEqual(configured[name]["deploy"]["parameters"]["stack_name"], f"phone-numbers-{name}")

    def test_a_deployment_is_approved_outside_its_concurrency_group_and_never_cancelled(self):
        jobs = self.workflow("environment")["jobs"]
        self.assertEqual(jobs["approve"]["environment"], "${{ inputs.environment }}-approval")
        self.assertNotIn("concurrency", jobs["approve"])
        self.assertNotIn("permissions", jobs["approve"])
        self.assertEqual((jobs["deploy"]["needs"], jobs["deploy"]["environment"]), ("approve", "${{ inputs.environment }}"))
        self.assertEqual(jobs["deploy"]["concurrency"], {"group": "deploy-${{ inputs.environment }}", "cancel-in-progress": False, "queue": "max"})

    def test_only_the_job_that_deploys_gets_a_token(self):
        for name in ("ci", "deploy", "environment"):
            workflow = self.workflow(name)
            self.assertEqual(workflow["permissions"], {})
            holders = {job for job, body in workflow["jobs"].items() if "id-token" in body.get("permissions", {})}
            self.assertEqual(holders, {"ci": set(), "deploy": {"dev", "staging", "prod"}, "environment": {"deploy"}}[name])

    def test_a_step_with_a_pipe_fails_when_its_first_command_does(self):
        for path in (ROOT / ".github/workflows").iterdir():
            self.assertEqual(yaml.safe_load(path.read_text())["defaults"]["run"]["shell"], "bash", path.name)
            self.assertNotRegex(path.read_text(), r'echo "[^"]*\$\(', path.name)

    def test_the_workflow_reads_each_output_from_a_variable(self):
        descriptions = [output["Description"] for output in self.template["Outputs"].values()]
        variables = [found[1] for found in (re.search(r"variable ([A-Z_]+) of the GitHub environment", text) for text in descriptions) if found]
        self.assertEqual(len(variables), 4)
        workflow = (ROOT / ".github/workflows/environment.yml").read_text()
        for name in variables:
            self.assertIn("${{ vars.%s }}" % name, workflow)


class Reach(unittest.TestCase):
    """What the roles of dev can do in an account that has prod, too. Roles are evaluated as IAM does it, without conditions on keys
    that a request does not have."""

    @classmethod
    def setUpClass(cls):
        cls.template = yaml_parse((ROOT / "pipeline.yaml").read_text())

    def policy(self, name, **parameters):
        properties = self.template["Resources"][name]["Properties"]
        document = properties.get("PolicyDocument") or properties["Policies"][0]["PolicyDocument"]
        given = {**DEV, "CloudFormationRole.Arn": "arn:aws:iam::1:role/cloudformation", **parameters}
        document = resolved_attributes(document, given)
        return [statement for statement in resolved(document["Statement"], given, self.template) if statement]

    def allows(self, name, action, resource, context=None, **parameters):
        verdicts = {
            statement["Effect"]
            for statement in self.policy(name, **parameters)
            if any(fnmatchcase(action, pattern) for pattern in as_list(statement["Action"]))
            and any(fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]) if pattern)
            and holds(statement.get("Condition", {}), context or {})
        }
        return verdicts == {"Allow"}

    RESOURCES = {
        "cloudformation": "arn:aws:cloudformation:us-east-1:1:stack/phone-numbers-{}/uuid",
        "lambda": "arn:aws:lambda:us-east-1:1:function:phone-numbers-{}-PhoneNumbersListFunction-X",
        "logs": "arn:aws:logs:us-east-1:1:log-group:phone-numbers-{}-LogGroup-X",
        "events": "arn:aws:events:us-east-1:1:rule/phone-numbers-{}-Rule-X",
        "cloudwatch": "arn:aws:cloudwatch:us-east-1:1:alarm:phone-numbers-{}-Alarm-X",
        "codedeploy": "arn:aws:codedeploy:us-east-1:1:application:phone-numbers-{}-X",
        "iam": "arn:aws:iam::1:role/phone-numbers-{}-PhoneNumbersListRole-X",
        "s3": "arn:aws:s3:::{}-artifacts/x86_64/x.zip",
        "secretsmanager": "arn:aws:secretsmanager:us-east-1:1:secret:phone-numbers-{}/database-AbCdEf",
    }

    def test_no_role_of_dev_reaches_what_is_prods(self):
        tried = set()
        for role in ("DeployRole", "CloudFormationRole", "Boundary"):
            for statement in self.policy(role):
                for action in as_list(statement["Action"]):
                    service = action.split(":")[0]
                    if statement["Resource"] == "*" or service not in self.RESOURCES:
                        continue
                    action = action.replace("*", "DeleteEverything")
                    context = {"iam:PermissionsBoundary": "arn:boundary", "iam:PolicyARN": "arn:aws:iam::1:policy/phone-numbers-dev-X",
                               "iam:PassedToService": "lambda.amazonaws.com"}
                    self.assertFalse(self.allows(role, action, self.RESOURCES[service].format("prod"), context), action)
                    tried.add(service)
        self.assertEqual(tried, self.RESOURCES.keys())
        self.assertTrue(self.allows("CloudFormationRole", "lambda:DeleteFunction", self.RESOURCES["lambda"].format("dev")))

    def test_the_api_of_another_environment_is_out_of_reach(self):
        api = "arn:aws:apigateway:us-east-1::/apis/{}"
        tag = lambda name: {"aws:ResourceTag/phone-numbers-stack": f"phone-numbers-{name}"}
        self.assertTrue(self.allows("CloudFormationRole", "apigateway:PATCH", api.format("mine"), tag("dev")))
        self.assertFalse(self.allows("CloudFormationRole", "apigateway:PATCH", api.format("other"), tag("prod")))
        # As soon as the API is known, no other one is within reach, whatever its tags.
        self.assertTrue(self.allows("CloudFormationRole", "apigateway:PATCH", api.format("mine/routes/1"), ApiId="mine"))
        for other in ("other", "other/routes/1", "mine2"):
            self.assertFalse(self.allows("CloudFormationRole", "apigateway:DELETE", api.format(other), ApiId="mine"))

    def test_a_role_without_the_boundary_cannot_be_created_or_get_rights(self):
        role = self.RESOURCES["iam"].format("dev")
        own = {"iam:PolicyARN": "arn:aws:iam::1:policy/phone-numbers-dev-X"}
        for action in ("iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
            self.assertTrue(self.allows("CloudFormationRole", action, role, {**own, "iam:PermissionsBoundary": "arn:boundary"}), action)
            self.assertFalse(self.allows("CloudFormationRole", action, role, own), action)
            self.assertFalse(self.allows("CloudFormationRole", action, role, {**own, "iam:PermissionsBoundary": "arn:other"}), action)
        self.assertFalse(self.allows("CloudFormationRole", "iam:DeleteRolePermissionsBoundary", role))
        administrator = {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess", "iam:PermissionsBoundary": "arn:boundary"}
        self.assertFalse(self.allows("CloudFormationRole", "iam:AttachRolePolicy", role, administrator))

    def test_the_boundary_cannot_be_changed_by_the_role_that_it_bounds(self):
        boundary = self.template["Resources"]["Boundary"]["Properties"]
        name = resolved(boundary["ManagedPolicyName"], DEV, self.template)
        for action in ("iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"):
            self.assertFalse(self.allows("CloudFormationRole", action, f"arn:aws:iam::1:policy/{name}"), action)

    def test_every_right_of_the_functions_is_within_the_boundary(self):
        actions = set()
        resources = transformed(CanaryRollout="true")["Resources"]
        documents = [r["Properties"]["PolicyDocument"] for r in resources.values() if r["Type"] == "AWS::IAM::ManagedPolicy"]
        documents += [p["PolicyDocument"] for r in resources.values() for p in r["Properties"].get("Policies", []) if r["Type"] == "AWS::IAM::Role"]
        for document in documents:
            for statement in without_conditions(document["Statement"]):
                actions |= set(as_list(statement["Action"]))
        bounded = {action for statement in self.policy("Boundary") for action in as_list(statement["Action"])}
        self.assertLessEqual(actions, bounded)

    def test_the_pipeline_may_delete_a_stack_and_cannot_lift_its_protection(self):
        stack = self.RESOURCES["cloudformation"].format("dev")
        self.assertTrue(self.allows("DeployRole", "cloudformation:DeleteStack", stack))
        for role in ("DeployRole", "CloudFormationRole"):
            self.assertFalse(self.allows(role, "cloudformation:UpdateTerminationProtection", stack))
            self.assertFalse(self.allows(role, "cloudformation:SetStackPolicy", stack))

    def test_both_transforms_can_be_used_by_both_roles(self):
        for role in ("DeployRole", "CloudFormationRole"):
            for transform in ("Serverless-2016-10-31", "LanguageExtensions"):
                self.assertTrue(self.allows(role, "cloudformation:CreateChangeSet", f"arn:aws:cloudformation:us-east-1:aws:transform/{transform}"))


def resolved_attributes(value, known):
    """Replaces every Fn::GetAtt by its value."""
    if isinstance(value, list):
        return [resolved_attributes(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::GetAtt" in value:
        return known[".".join(as_list(value["Fn::GetAtt"]))]
    return {name: resolved_attributes(item, known) for name, item in value.items()}


def holds(condition, context):
    """Evaluates the operators that pipeline.yaml uses."""
    def matches(operator, key, values):
        if operator == "Null":
            return (key not in context) == (values == ["true"])
        if operator == "StringNotEquals":
            return context.get(key) not in values
        compare = fnmatchcase if operator == "ArnLike" else str.__eq__
        return key in context and any(compare(context[key], value) for value in values)

    return all(matches(operator, key, as_list(values)) for operator, keys in condition.items() for key, values in keys.items())


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    unittest.main()
