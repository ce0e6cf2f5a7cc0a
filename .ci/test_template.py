"""Tests template.yaml after the SAM transform: permissions, routes and alarms.

Runs with the Python of the SAM CLI, whose translator is the one that AWS uses.
"""

import logging
import re
import unittest
from pathlib import Path

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent

# Actions that may be allowed on all resources; the template has the reasons.
WILDCARDS = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def source():
    return yaml_parse((ROOT / "template.yaml").read_text())


def serverless_functions():
    """The functions as the template declares them, by the word that tells them apart, such as Search."""
    return {
        name.removeprefix("PhoneNumbers").removesuffix("Function"): resource["Properties"]
        for name, resource in source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def has_route_for_every_method(properties):
    events = properties.get("Events", {}).values()
    return any(event["Type"] == "HttpApi" and event["Properties"]["Method"] == "ANY" for event in events)


def calls_telnyx(properties):
    """Whether the crate has the client for Telnyx."""
    return 'features = ["telnyx"]' in (ROOT / properties["CodeUri"] / "Cargo.toml").read_text()


WEB = {function for function, properties in serverless_functions().items() if has_route_for_every_method(properties)}
TELNYX = {function for function, properties in serverless_functions().items() if calls_telnyx(properties)}


def transformed(**parameters):
    """Returns the template after the SAM transform, with placeholders for the artifacts in S3."""
    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    values = {"JwtIssuer": "https://issuer.example", "AllowedOrigins": "https://app.example", **parameters}
    session = boto3.Session(region_name="us-east-1")
    return Translator({}, Parser(), boto_session=session).translate(template, values)


def as_list(value):
    return value if isinstance(value, list) else [value]


def without_conditions(value):
    """Replaces every Fn::If in a list by both its values, without AWS::NoValue."""
    for item in as_list(value):
        if isinstance(item, dict) and "Fn::If" in item:
            yield from without_conditions(item["Fn::If"][1:])
        elif item != {"Ref": "AWS::NoValue"}:
            yield item


class Transformed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = transformed()["Resources"]

    def of_type(self, kind):
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}

    def functions(self):
        """Returns the functions by short name, such as Search."""
        return {
            name.removeprefix("PhoneNumbers").removesuffix("Function"): resource["Properties"]
            for name, resource in self.of_type("AWS::Lambda::Function").items()
        }

    def policies(self, function):
        """Returns the policies of a function's role, by name."""
        role, _ = self.functions()[function]["Role"]["Fn::GetAtt"]
        return {policy["Ref"] for policy in without_conditions(self.resources[role]["Properties"]["ManagedPolicyArns"])}

    def test_every_crate_is_deployed_and_nothing_else(self):
        crates = {f"functions/{folder.name}" for folder in (ROOT / "functions").iterdir()}
        self.assertEqual(crates, {properties["CodeUri"] for properties in serverless_functions().values()})
        self.assertTrue(WEB and TELNYX - WEB and WEB - TELNYX)

    def test_a_public_url_has_exactly_two_permissions(self):
        urls = self.of_type("AWS::Lambda::Url")
        self.assertEqual({f"PhoneNumbers{function}FunctionAliaslive" for function in WEB},
                         {url["Properties"]["TargetFunctionArn"]["Ref"] for url in urls.values()})
        public = [p for p in self.of_type("AWS::Lambda::Permission").values() if p["Properties"]["Principal"] == "*"]
        for url in urls.values():
            self.assertEqual(url["Condition"], "HasFunctionUrls")
            self.assertEqual(url["Properties"]["AuthType"], "NONE")
            target = url["Properties"]["TargetFunctionArn"]
            expected = [
                {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
                {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
            ]
            for properties in expected:
                permission = {
                    "Type": "AWS::Lambda::Permission",
                    "Condition": "HasFunctionUrls",
                    "Properties": {"FunctionName": target, "Principal": "*", **properties},
                }
                self.assertIn(permission, public)
        self.assertEqual(len(public), 2 * len(urls))

    def test_only_functions_that_call_telnyx_may_read_its_keys(self):
        telnyx = {function for function in self.functions() if "TelnyxSecretsPolicy" in self.policies(function)}
        self.assertEqual(telnyx, TELNYX)

    def test_only_functions_for_web_apps_may_read_the_token_secret(self):
        self.assertEqual({function for function in self.functions() if "JwtSecretPolicy" in self.policies(function)}, WEB)

    def database_policies(self, function):
        return {policy for policy in self.policies(function) if policy.startswith("Database")}

    def test_each_function_may_read_the_secret_with_its_own_database_login(self):
        logins = {"Search": "Read", "List": "Read", "Assign": "Assign", "Purchase": "Spend", "Release": "Spend", "Reconcile": "Spend"}
        self.assertEqual(self.functions().keys(), logins.keys() | {"Migrate"})
        for function, login in logins.items():
            secret = {"Fn::If": [f"HasDatabase{login}Secret", {"Ref": f"Database{login}SecretId"}, {"Ref": "DatabaseSecretId"}]}
            self.assertEqual(self.functions()[function]["Environment"]["Variables"]["DATABASE_SECRET_ID"], secret, function)
            self.assertEqual(self.database_policies(function), {f"Database{login}SecretPolicy"}, function)
            policy = self.resources[f"Database{login}SecretPolicy"]["Properties"]["PolicyDocument"]
            self.assertEqual(policy["Statement"][0]["Resource"]["Fn::Sub"][1], {"SecretId": secret})
        self.assertEqual(self.functions()["Migrate"]["Environment"]["Variables"]["DATABASE_SECRET_ID"], {"Ref": "DatabaseSecretId"})
        self.assertEqual(self.database_policies("Migrate"), {"DatabaseSecretPolicy"})

    def test_a_defect_raises_an_alarm(self):
        metric, = self.of_type("AWS::Logs::MetricFilter").values()
        self.assertEqual(metric["Properties"]["FilterPattern"], '{ $.fields.code = "internal" }')
        self.assertIn("code = error.code()", (ROOT / "shared/src/lambda/log.rs").read_text())
        alarm = self.resources["InternalErrorsAlarm"]["Properties"]
        transformation, = metric["Properties"]["MetricTransformations"]
        self.assertEqual((alarm["Namespace"], alarm["MetricName"]), (transformation["MetricNamespace"], transformation["MetricName"]))

    def test_a_function_has_no_other_rights_than_the_template_lists(self):
        for function in self.functions():
            own = {"PhoneNumbersRuntimePolicy", "JwtSecretPolicy", "TelnyxSecretsPolicy", *self.database_policies(function)}
            self.assertLessEqual(self.policies(function), own, function)
            role, _ = self.functions()[function]["Role"]["Fn::GetAtt"]
            self.assertEqual(role, f"PhoneNumbers{function}Role")
            self.assertEqual(self.resources[role]["Properties"].keys(), {"AssumeRolePolicyDocument", "ManagedPolicyArns"})

    def test_only_known_actions_are_allowed_on_all_resources(self):
        for name, policy in self.of_type("AWS::IAM::ManagedPolicy").items():
            for statement in without_conditions(policy["Properties"]["PolicyDocument"]["Statement"]):
                self.assertFalse(any("*" in action for action in as_list(statement["Action"])), name)
                if "*" in as_list(statement["Resource"]):
                    self.assertLessEqual(set(as_list(statement["Action"])), WILDCARDS, name)

    def test_the_authorizer_lets_preflights_and_webhooks_through(self):
        paths = self.resources["PhoneNumbersApi"]["Properties"]["Body"]["paths"]
        for function in WEB:
            path = paths[f"/phone-numbers-{function.lower()}"]
            security = path["x-amazon-apigateway-any-method"]["security"]
            self.assertEqual(security, {"Fn::If": ["HasApiAuthorizer", [{"Jwt": []}], {"Ref": "AWS::NoValue"}]})
            condition, preflight, otherwise = path["options"]["Fn::If"]
            self.assertEqual((condition, otherwise), ("HasApiAuthorizer", {"Ref": "AWS::NoValue"}))
            self.assertNotIn("security", preflight)
            uri = preflight["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"][1]["Alias"]["Ref"]
            self.assertEqual(uri, f"PhoneNumbers{function}FunctionAliaslive")
        self.assertEqual(paths.keys(), {f"/phone-numbers-{function.lower()}" for function in WEB | {"Reconcile"}})
        self.assertEqual(list(paths["/phone-numbers-reconcile"]), ["post"])
        self.assertNotIn("security", paths["/phone-numbers-reconcile"]["post"])

    def test_cors_is_left_to_the_functions(self):
        self.assertNotIn("CorsConfiguration", self.resources["PhoneNumbersApi"]["Properties"])
        self.assertNotIn("x-amazon-apigateway-cors", self.resources["PhoneNumbersApi"]["Properties"]["Body"])
        for url in self.of_type("AWS::Lambda::Url").values():
            self.assertNotIn("Cors", url["Properties"])

    def test_every_function_has_alarms_for_errors_and_throttles(self):
        alarms = [alarm["Properties"] for alarm in self.of_type("AWS::CloudWatch::Alarm").values()]
        watched = {
            (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"]) for alarm in alarms if alarm["Namespace"] == "AWS/Lambda"
        }
        functions = self.functions().keys() - {"Migrate"}
        self.assertEqual(watched, {(f"PhoneNumbers{f}Function", metric) for f in functions for metric in ("Errors", "Throttles")})
        actions = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
        self.assertTrue(all(alarm["AlarmActions"] == actions for alarm in alarms))

    def test_every_metric_of_reconcile_and_its_absence_has_an_alarm(self):
        alarms = [alarm["Properties"] for alarm in self.of_type("AWS::CloudWatch::Alarm").values()]
        alarms = {alarm["MetricName"]: alarm for alarm in alarms if alarm["Namespace"] == "PhoneNumbers"}
        kinds = re.findall(r'^    (\w+) = "\w+", (?:Inventory|Ledger),', (ROOT / "shared/src/store/reconcile/finding_kinds.rs").read_text(), re.MULTILINE)
        self.assertIn("ReleasedButBilled", kinds)
        counted = {"StuckPurchases", "StuckReleases", "StuckAccounts", "AccountsFailed", "DatabaseObjections", "WrongDeployment"}
        self.assertEqual(alarms.keys(), counted | set(kinds))
        report = (ROOT / "functions/phone-numbers-reconcile/src/report.rs").read_text()
        for metric in counted:
            self.assertIn(f'"{metric}"', report)
        for alarm in alarms.values():
            self.assertEqual(alarm["Dimensions"], [{"Name": "Service", "Value": {"Ref": "AWS::StackName"}}])
        self.assertEqual(alarms["StuckPurchases"]["TreatMissingData"], "breaching")
        silent = {metric for metric, alarm in alarms.items() if alarm.get("ActionsEnabled") is False}
        self.assertEqual(silent, {"NotOurs"})

    def test_reconcile_has_an_instance_for_webhooks_during_a_run(self):
        template, functions = source(), self.functions()
        reserved = {function: properties.get("ReservedConcurrentExecutions") for function, properties in functions.items()}
        reserved = {function: setting["Fn::If"][1] for function, setting in reserved.items() if setting}
        self.assertEqual(reserved, {"Purchase": {"Ref": "ReservedConcurrency"}, "Reconcile": {"Ref": "ReconcileReservedConcurrency"}})
        pattern = template["Parameters"]["ReconcileReservedConcurrency"]["AllowedPattern"]
        for number in ("", "2", "9", "10", "100"):
            self.assertRegex(number, pattern)
        for number in ("0", "1", "01", "-2", "two"):
            self.assertNotRegex(number, pattern)

    def test_the_schedule_calls_reconcile_without_retries(self):
        rule, = self.of_type("AWS::Events::Rule").values()
        target, = rule["Properties"]["Targets"]
        self.assertEqual(target["Arn"], {"Ref": "PhoneNumbersReconcileFunctionAliaslive"})
        self.assertNotIn("Input", target)
        invocation, = self.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual((invocation["Properties"]["Qualifier"], invocation["Properties"]["MaximumRetryAttempts"]), ("live", 0))


class Rollout(unittest.TestCase):
    def test_all_functions_but_migrate_can_have_a_canary_rollout(self):
        names = transformed(CanaryRollout="true")["Resources"]
        groups = {name for name, resource in names.items() if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
        functions = {name for name, resource in names.items() if resource["Type"] == "AWS::Lambda::Function"}
        self.assertEqual(groups, {f"{name}DeploymentGroup" for name in functions - {"PhoneNumbersMigrateFunction"}})
        for group in groups:
            alarms = names[group]["Properties"]["AlarmConfiguration"]["Alarms"]
            self.assertEqual(alarms, [{"Name": {"Ref": group.replace("FunctionDeploymentGroup", "ErrorsAlarm")}}])
            self.assertIn("DEPLOYMENT_STOP_ON_ALARM", names[group]["Properties"]["AutoRollbackConfiguration"]["Events"])

    def test_another_configuration_publishes_another_version(self):
        resources = transformed()["Resources"].values()
        versions = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Lambda::Version"]
        functions = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Lambda::Function"]
        self.assertEqual(len(versions), len(functions))
        for version in versions:
            self.assertEqual(version["Description"], {"Ref": "Configuration"})
        for function in functions:
            self.assertEqual(function["Description"], {"Fn::Sub": "Configuration ${Configuration}"})


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    unittest.main()
