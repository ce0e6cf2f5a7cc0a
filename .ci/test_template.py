"""Tests template.yaml after its loops are expanded and the SAM transform: permissions, names, routes, limits and alarms.

Runs with the Python of the SAM CLI, whose translator is the one that AWS uses.
"""

import contextlib
import copy
import functools
import io
import json
import logging
import os
import re
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import boto3
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

import template as deployment
from expanded import expanded

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


@functools.cache
def parsed():
    return yaml_parse((ROOT / "template.yaml").read_text())


def source():
    """Returns the template with its loops expanded."""
    return copy.deepcopy(expanded(parsed()))


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


# The login of the database that each function uses; sql/ says what each may do.
LOGINS = {"Search": "Read", "List": "Read", "Assign": "Assign", "Purchase": "Spend", "Release": "Spend", "Reconcile": "Spend"}
WEB = {function for function, properties in serverless_functions().items() if has_route_for_every_method(properties)}
TELNYX = {function for function, properties in serverless_functions().items() if calls_telnyx(properties)}


def transformed(template=None, **parameters):
    """Returns the template after the SAM transform, with placeholders for the artifacts in S3."""
    template = template or source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    values = {"JwtIssuer": "https://issuer.example", "AllowedOrigins": "https://app.example", "AlarmTopicArn": "none", **parameters}
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


def is_hook(resource):
    """Whether a resource is a function that CodeDeploy invokes before a canary gets calls. They are no functions of the product."""
    return resource.get("Condition") == "HasCanary" and resource["Type"] == "AWS::Lambda::Function"


def function_names(resources):
    """The logical names of the product's functions."""
    return {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Function" and not is_hook(resource)}


class Transformed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = transformed()["Resources"]

    def of_type(self, kind):
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}

    def functions(self):
        """Returns the functions by short name, such as Search."""
        return {
            name.removeprefix("PhoneNumbers").removesuffix("Function"): self.resources[name]["Properties"]
            for name in function_names(self.resources)
        }

    def policies(self, function):
        """Returns the policies of a function's role, by name."""
        role, _ = self.functions()[function]["Role"]["Fn::GetAtt"]
        policies = without_conditions(self.resources[role]["Properties"]["ManagedPolicyArns"])
        return {policy["Ref"] for policy in policies if "Ref" in policy}

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

    def test_a_function_has_no_other_rights_than_the_template_lists(self):
        for function in self.functions():
            role, _ = self.functions()[function]["Role"]["Fn::GetAtt"]
            self.assertEqual(role, f"PhoneNumbers{function}Role")
            properties = self.resources[role]["Properties"]
            if function == "Migrate":
                statements, = (policy["PolicyDocument"]["Statement"] for policy in properties["Policies"])
                actions = {action for statement in without_conditions(statements) for action in as_list(statement["Action"])}
                self.assertEqual(actions, {"logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue", "kms:Decrypt"})
                continue
            own = {"PhoneNumbersRuntimePolicy", f"Database{LOGINS[function]}SecretPolicy", "JwtSecretPolicy", "TelnyxSecretsPolicy"}
            self.assertLessEqual(self.policies(function), own, function)
            self.assertEqual(properties.keys(), {"AssumeRolePolicyDocument", "ManagedPolicyArns", "PermissionsBoundary"})

    def test_every_role_has_the_permissions_boundary(self):
        for name, role in self.of_type("AWS::IAM::Role").items():
            boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
            self.assertEqual(role["Properties"]["PermissionsBoundary"], boundary, name)

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
            uri = preflight["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            self.assertIn(f"/functions/${{PhoneNumbers{function}Function.Arn}}:live/", uri)
        self.assertEqual(paths.keys(), {f"/phone-numbers-{function.lower()}" for function in WEB | {"Reconcile"}})
        self.assertEqual(list(paths["/phone-numbers-reconcile"]), ["post"])
        self.assertNotIn("security", paths["/phone-numbers-reconcile"]["post"])

    def test_cors_is_left_to_the_functions(self):
        self.assertNotIn("CorsConfiguration", self.resources["PhoneNumbersApi"]["Properties"])
        self.assertNotIn("x-amazon-apigateway-cors", self.resources["PhoneNumbersApi"]["Properties"]["Body"])
        for url in self.of_type("AWS::Lambda::Url").values():
            self.assertNotIn("Cors", url["Properties"])

    def alarms(self):
        return {name: alarm["Properties"] for name, alarm in self.of_type("AWS::CloudWatch::Alarm").items()}

    def test_every_function_has_standing_alarms_for_errors_and_throttles(self):
        watched = {
            (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"])
            for alarm in self.alarms().values()
            if alarm["Namespace"] == "AWS/Lambda" and len(alarm["Dimensions"]) == 1 and "AlarmActions" in alarm
        }
        functions = self.functions().keys() - {"Migrate"}
        expected = {(f"PhoneNumbers{f}Function", metric) for f in functions for metric in ("Errors", "Throttles")}
        self.assertEqual(watched, expected | {(f"PhoneNumbers{f}Function", "Duration") for f in WEB})

    def test_an_alarm_notifies_unless_it_only_serves_a_deployment(self):
        actions = {"Fn::If": ["Notifies", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
        for name, alarm in self.alarms().items():
            self.assertEqual(alarm.get("AlarmActions"), None if "Version" in name else actions, name)

    def test_answers_with_5xx_are_counted_for_each_function_and_version(self):
        filters = [self.resources[name]["Properties"] for name in ("FailuresFilter", "VersionFailuresFilter")]
        counted = {}
        for found in filters:
            self.assertIn('$.fields.message = "request answered" && $.fields.status >= 500', found["FilterPattern"])
            transformation, = found["MetricTransformations"]
            counted[transformation["MetricName"]] = {dimension["Key"] for dimension in transformation["Dimensions"]}
        self.assertEqual(counted, {"Failures": {"Function"}, "VersionFailures": {"Function", "Version"}})
        log = (ROOT / "shared/src/lambda/log.rs").read_text()
        for field in ["function = ", "version", "status = ", '"request answered"']:
            self.assertIn(field, log)
        for function in WEB:
            alarm = self.alarms()[f"PhoneNumbers{function}FailuresAlarm"]
            package = f"phone-numbers-{function.lower()}"
            self.assertEqual((alarm["MetricName"], alarm["Dimensions"]), ("Failures", [{"Name": "Function", "Value": package}]))

    def test_a_defect_raises_an_alarm(self):
        found = self.resources["InternalErrorsFilter"]["Properties"]
        self.assertEqual(found["FilterPattern"], '{ $.fields.code = "internal" }')
        self.assertIn("code = error.code()", (ROOT / "shared/src/lambda/log.rs").read_text())
        alarm = self.alarms()["InternalErrorsAlarm"]
        transformation, = found["MetricTransformations"]
        self.assertEqual((alarm["Namespace"], alarm["MetricName"]), (transformation["MetricNamespace"], transformation["MetricName"]))

    def test_the_dashboard_shows_existing_metrics(self):
        dashboard, = self.of_type("AWS::CloudWatch::Dashboard").values()
        body = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])
        report = (ROOT / "functions/phone-numbers-reconcile/src/report.rs").read_text()
        shown = set()
        for widget in body["widgets"]:
            for metric in widget["properties"].get("metrics", []):
                if metric[0] == "PhoneNumbers":
                    self.assertIn(f'"{metric[1]}"', report)
                shown.add(metric[1])
        self.assertLessEqual({"Invocations", "Errors", "Throttles", "Duration", "PurchasesCompleted", "OpenFindings"}, shown)
        self.assertIn("initDurationMs", dashboard["Properties"]["DashboardBody"]["Fn::Sub"])

    def test_logs_outlive_the_stack_unless_it_could_not_be_created(self):
        groups = self.of_type("AWS::Logs::LogGroup")
        self.assertEqual(groups.keys(), {"LogGroup", "AccessLogGroup"})
        for group in groups.values():
            self.assertEqual((group["DeletionPolicy"], group["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
            self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"})

    def test_the_access_log_is_json_without_headers_and_queries(self):
        stage, = self.of_type("AWS::ApiGatewayV2::Stage").values()
        settings = stage["Properties"]["AccessLogSettings"]
        self.assertEqual(settings["DestinationArn"], {"Fn::GetAtt": ["AccessLogGroup", "Arn"]})
        fields = json.loads(settings["Format"])
        self.assertLessEqual({"requestId", "latencyMs", "integrationError", "status"}, fields.keys())
        for value in fields.values():
            self.assertNotRegex(value, r"header|query|path|authorizer\.claims|\.jwt")

    def test_every_route_is_throttled_and_those_that_spend_more_so(self):
        stage, = self.of_type("AWS::ApiGatewayV2::Stage").values()
        self.assertEqual(stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"], {"Ref": "ApiRateLimit"})
        routes = stage["Properties"]["RouteSettings"]
        self.assertEqual(routes.keys(), {"ANY /phone-numbers-purchase", "ANY /phone-numbers-release"})
        defaults = {name: parameter.get("Default") for name, parameter in source()["Parameters"].items()}
        self.assertLess(defaults["SpendRateLimit"], defaults["ApiRateLimit"])

    def test_every_metric_of_reconcile_and_its_absence_has_an_alarm(self):
        alarms = {alarm["MetricName"]: alarm for alarm in self.alarms().values() if alarm["Namespace"] == "PhoneNumbers"}
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
        silent = {metric for metric, alarm in alarms.items() if alarm["ActionsEnabled"] == "false"}
        self.assertEqual(silent, {"NotOurs"})

    def test_reconcile_has_an_instance_for_webhooks_during_a_run(self):
        template, functions = source(), self.functions()
        reserved = {function: properties.get("ReservedConcurrentExecutions") for function, properties in functions.items()}
        reserved = {function: setting["Fn::If"][1] for function, setting in reserved.items() if setting}
        expected = {function: {"Ref": "ReservedConcurrency"} for function in WEB}
        self.assertEqual(reserved, {**expected, "Reconcile": {"Ref": "ReconcileReservedConcurrency"}, "Migrate": 2})
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

    def test_what_is_invoked_asynchronously_is_not_retried(self):
        invocations = self.of_type("AWS::Lambda::EventInvokeConfig")
        self.assertEqual(invocations.keys(), {f"PhoneNumbers{function}FunctionEventInvokeConfig" for function in ("Reconcile", "Migrate")})
        for invocation in invocations.values():
            self.assertEqual((invocation["Properties"]["Qualifier"], invocation["Properties"]["MaximumRetryAttempts"]), ("live", 0))

    def test_a_stack_whose_database_is_not_migrated_runs_no_schedule_and_notifies_nobody(self):
        rule, = self.of_type("AWS::Events::Rule").values()
        self.assertEqual(rule["Properties"]["State"], {"Fn::If": ["IsStarted", "ENABLED", "DISABLED"]})
        self.assertEqual(source()["Conditions"]["Notifies"]["Fn::And"][0], {"Condition": "IsStarted"})


class Rollout(unittest.TestCase):
    def test_all_functions_but_migrate_can_have_a_canary_rollout(self):
        names = transformed(CanaryRollout="true")["Resources"]
        groups = {name for name, resource in names.items() if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
        functions = function_names(names)
        self.assertEqual(groups, {f"{name}DeploymentGroup" for name in functions - {"PhoneNumbersMigrateFunction"}})
        for group in groups:
            alarms = names[group]["Properties"]["AlarmConfiguration"]["Alarms"]
            prefix = group.removesuffix("FunctionDeploymentGroup")
            self.assertEqual(alarms, [{"Name": {"Ref": f"{prefix}Version{kind}Alarm"}} for kind in ("Errors", "Failures")])
            self.assertEqual(names[group]["Properties"]["ServiceRoleArn"], {"Fn::GetAtt": ["CodeDeployRole", "Arn"]})
            self.assertIn("DEPLOYMENT_STOP_ON_ALARM", names[group]["Properties"]["AutoRollbackConfiguration"]["Events"])

    def test_before_a_canary_gets_calls_a_hook_checks_its_version(self):
        resources = transformed(CanaryRollout="true")["Resources"]
        aliases = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Alias"}
        for name, alias in aliases.items():
            function = name.removesuffix("Aliaslive")
            if function == "PhoneNumbersMigrateFunction":
                continue
            hook = function.removesuffix("Function") + "BeforeTraffic"
            update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
            self.assertEqual(update["BeforeAllowTrafficHook"], {"Ref": hook})
            version, _ = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"]
            self.assertEqual(resources[hook]["Properties"]["Environment"]["Variables"], {"VERSION": {"Ref": version}})

    def test_a_hook_lets_a_version_pass_only_if_its_check_did(self):
        hooks = [resource for resource in transformed(CanaryRollout="true")["Resources"].values() if is_hook(resource)]
        code, = {hook["Properties"]["Code"]["ZipFile"] for hook in hooks}
        passed = {"Payload": io.BytesIO(b'{"checked":"dependencies"}')}
        failed = {"Payload": io.BytesIO(b'{"errorType":"CheckFailed"}'), "FunctionError": "Unhandled"}
        for answer, expected in [(passed, "Succeeded"), (failed, "Failed"), (RuntimeError("throttled"), "Failed")]:
            clients = {"lambda": mock.Mock(), "codedeploy": mock.Mock()}
            clients["lambda"].invoke.side_effect = [answer]
            module = {}
            limits = {}

            def client(name, config=None):
                limits[name] = config
                return clients[name]

            with mock.patch("boto3.client", client), mock.patch.dict(os.environ, VERSION="arn:of:version"):
                exec(code, module)
                event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}
                with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(RuntimeError):
                    module["handler"](event, None)
            clients["lambda"].invoke.assert_called_once_with(FunctionName="arn:of:version", Payload=b'{"check":"dependencies"}')
            report = clients["codedeploy"].put_lifecycle_event_hook_execution_status
            report.assert_called_once_with(deploymentId="d-1", lifecycleEventHookExecutionId="e-1", status=expected)
            # A function that does not answer must leave time to report that.
            self.assertEqual(limits["lambda"].retries, {"total_max_attempts": 1})
            waits = limits["lambda"].connect_timeout + limits["lambda"].read_timeout
            self.assertTrue(all(waits <= hook["Properties"]["Timeout"] - 10 for hook in hooks))

    def test_codedeploy_may_invoke_the_hooks_and_the_hooks_nothing_but_check_and_report(self):
        resources = transformed(CanaryRollout="true")["Resources"]
        invoke, = resources["CodeDeployRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        self.assertEqual(invoke["Action"], "lambda:InvokeFunction")
        self.assertTrue(invoke["Resource"]["Fn::Sub"].endswith(":function:${AWS::StackName}-PhoneNumbers*"))
        for hook in filter(is_hook, resources.values()):
            self.assertEqual(hook["Properties"]["Role"], {"Fn::GetAtt": ["BeforeTrafficRole", "Arn"]})
        statements = resources["BeforeTrafficRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        actions = {action for statement in statements for action in as_list(statement["Action"])}
        report = "codedeploy:PutLifecycleEventHookExecutionStatus"
        self.assertEqual(actions, {"logs:CreateLogStream", "logs:PutLogEvents", "lambda:InvokeFunction", report})

    def test_every_function_can_be_invoked_by_an_output(self):
        outputs = transformed()["Outputs"]
        invoked = {name: output["Value"]["Ref"] for name, output in outputs.items() if re.fullmatch("[A-Z][a-z]+Function", name)}
        self.assertEqual(invoked, {f"{name}Function": f"PhoneNumbers{name}FunctionAliaslive" for name in serverless_functions()})

    def test_an_alarm_that_stops_a_deployment_watches_only_the_new_version(self):
        resources = transformed(CanaryRollout="true")["Resources"]
        for group in [group for group in resources.values() if group["Type"] == "AWS::CodeDeploy::DeploymentGroup"]:
            for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]:
                name = alarm["Name"]["Ref"]
                function = re.sub("Version.*", "Function", name)
                dimensions = {d["Name"]: d["Value"] for d in resources[name]["Properties"]["Dimensions"]}
                version, attribute = dimensions["ExecutedVersion" if "Errors" in name else "Version"]["Fn::GetAtt"]
                self.assertEqual((resources[version]["Type"], attribute), ("AWS::Lambda::Version", "Version"))
                alias = resources[f"{function}Aliaslive"]
                self.assertEqual(alias["Properties"]["FunctionVersion"], {"Fn::GetAtt": [version, "Version"]})
                if "Errors" in name:
                    self.assertEqual(dimensions["Resource"], {"Fn::Join": [":", [{"Ref": function}, "live"]]})

    def test_another_configuration_publishes_another_version(self):
        resources = transformed()["Resources"]
        versions = [resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::Lambda::Version"]
        functions = [resources[name]["Properties"] for name in function_names(resources)]
        self.assertEqual(len(versions), len(functions))
        # CloudFormation replaces a version whose description changes, and Lambda publishes one because the function's does.
        for version in versions:
            self.assertEqual(version["Description"], {"Ref": "Configuration"})
        for function in functions:
            self.assertEqual(function["Description"], {"Fn::Sub": "Configuration ${Configuration}"})

    def test_tags_and_concurrency_cause_no_new_version(self):
        def versions(template):
            return {name for name, resource in transformed(template)["Resources"].items() if resource["Type"] == "AWS::Lambda::Version"}

        changed = source()
        changed["Globals"]["Function"] |= {"Tags": {"team": "telephony"}, "ReservedConcurrentExecutions": 7}
        self.assertEqual(versions(changed), versions(source()))


def resolved(value, parameters, template=None):
    """Resolves the references, conditions and substitutions in a value of the template, for the stack phone-numbers-dev."""
    template = template or source()
    known = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    known |= {"AWS::NoValue": None, "AWS::StackName": "phone-numbers-dev", "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "1"}
    known |= parameters

    def holds(condition):
        (name, argument), = condition.items()
        if name == "Condition":
            return holds(template["Conditions"][argument])
        if name == "Fn::Not":
            return not holds(argument[0])
        if name == "Fn::And":
            return all(map(holds, argument))
        if name == "Fn::Or":
            return any(map(holds, argument))
        left, right = map(resolve, argument)
        return left == right

    def resolve(value):
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return known[value["Ref"]]
        if "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            return resolve(then if holds(template["Conditions"][condition]) else otherwise)
        if "Fn::Select" in value:
            index, parts = value["Fn::Select"]
            return resolve(parts)[index]
        if "Fn::Split" in value:
            return resolve(value["Fn::Split"][1]).split(value["Fn::Split"][0])
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            parts = resolve(parts)
            return separator.join(parts if isinstance(parts, list) else parts.split(","))
        if "Fn::Sub" in value:
            text, given = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
            given = {**known, **{name: resolve(item) for name, item in given.items()}}
            return re.sub(r"\$\{([^}]+)\}", lambda found: given[found[1]], text)
        return {name: resolve(item) for name, item in value.items()}

    return resolve(value)


class Deployment(unittest.TestCase):
    """What .ci/template.py makes of the template."""

    def setUp(self):
        self.text = (ROOT / "template.yaml").read_text()
        self.values = {name: str(p.get("Default", "none")) for name, p in source()["Parameters"].items()}

    def artifacts(self, word):
        return {Path(properties["CodeUri"]).name: f"s3://bucket/{word}" for properties in serverless_functions().values()}

    def render(self, text=None, word="one", **values):
        return deployment.render(text or self.text, self.artifacts(word), {**self.values, **values})

    def digests(self, text):
        return dict(re.findall(r"^  (\w+):\n(?:    .*\n)+?      CodeUri: .*\n      AutoPublishCodeSha256: (\w+)$", text, re.M))

    def test_defaults_are_read_as_a_parser_reads_them(self):
        template = deployment.Template(self.text)
        self.assertEqual(template.text(), self.text)
        for name, parameter in source()["Parameters"].items():
            found = deployment.default(template.member("Parameters", name))
            self.assertEqual(found, None if "Default" not in parameter else str(parameter["Default"]), name)

    def test_a_function_gets_a_new_version_for_new_code_settings_and_properties_and_for_nothing_else(self):
        before = self.digests(self.render())
        self.assertEqual(len(before), len(serverless_functions()))
        self.assertEqual(self.digests(self.render()), before)
        for changed in [self.render(word="two"), self.render(DatabaseHost="other"), self.render(self.text.replace("MemorySize: 512", "MemorySize: 1024"))]:
            self.assertFalse(set(self.digests(changed).values()) & set(before.values()))
        one = self.digests(self.render(self.text.replace("      Timeout: 240", "      Timeout: 230")))
        self.assertEqual({name for name in before if before[name] != one[name]}, {"PhoneNumbersReconcileFunction"})
        alarm = self.digests(self.render(self.text.replace("Threshold: 10000", "Threshold: 9000")))
        self.assertEqual(alarm, before)
        # SAM appends the digest to the description, so that Lambda publishes the version that CloudFormation asks for.
        functions = transformed(expanded(yaml_parse(self.render())))["Resources"]
        description = functions["PhoneNumbersListFunction"]["Properties"]["Description"]
        self.assertEqual(description["Fn::Join"][1][1], before["PhoneNumbersListFunction"])

    def test_migrate_is_deployed_before_the_rest_with_the_parameters_of_the_next_deployment(self):
        old = self.render()
        new = {"DatabaseHost": "new", "DatabaseSecretId": "rds!new", "SubnetIds": "subnet-1", "DatabaseCaLayerArn": "arn:layer", "Configuration": "2"}
        after = self.render(self.text.replace("Timeout: 900", "Timeout: 800").replace("MemorySize: 512", "MemorySize: 1024"), "two", **new)
        text = deployment.expand(old, after)
        # As after a run whose migrations failed.
        self.assertEqual(deployment.expand(text, after), text)
        parsed_before, parsed_after, between = (expanded(yaml_parse(part)) for part in (old, after, text))
        for name, resource in parsed_before["Resources"].items():
            if not name.startswith("PhoneNumbersMigrate"):
                self.assertEqual(between["Resources"][name], resource)
        self.assertEqual(between["Resources"].keys(), parsed_before["Resources"].keys())
        self.assertEqual(between["Globals"], parsed_before["Globals"])
        given = deployment.next_parameters(after, {**self.values, **new})
        self.assertLessEqual(given.keys(), between["Parameters"].keys())
        for name in ("PhoneNumbersMigrateFunction", "PhoneNumbersMigrateRole"):
            found, wanted = between["Resources"][name]["Properties"], parsed_after["Resources"][name]["Properties"]
            keys = [key for key in wanted if key not in ("Role", "Policies")]
            for key in keys:
                expected = resolved(wanted[key], new, parsed_after)
                self.assertEqual(resolved(found[key], {**self.values, **given}, between), expected, f"{name}.{key}")
        secrets = json.dumps(between["Resources"]["PhoneNumbersMigrateRole"], default=str)
        self.assertIn("NextHasDatabaseSecret", secrets)
        self.assertNotRegex(secrets, r'"(Has|Database)\w+"')
        # The function's values win over the old ones of Globals, also where both are lists or conditions.
        function = transformed(between)["Resources"]["PhoneNumbersMigrateFunction"]["Properties"]
        self.assertEqual(len(function["Layers"]), 1)
        text = json.dumps({key: function[key] for key in ("Layers", "VpcConfig", "Description")})
        self.assertNotRegex(text, r'\["Has\w+"|"Ref": "(Database|Subnet|Security)|\{Configuration')
        self.assertEqual(function["Timeout"], 800)


class Environments(unittest.TestCase):
    """What keeps two environments in one account apart."""

    def test_every_secret_is_named_after_the_stack_unless_it_is_given(self):
        names = set()
        for properties in serverless_functions().values():
            variables = {**source()["Globals"]["Function"]["Environment"]["Variables"], **properties["Environment"]["Variables"]}
            names |= {resolved(value, {}) for name, value in variables.items() if name.endswith("_SECRET_ID")}
        self.assertEqual(names, {"", "phone-numbers-dev/database", "phone-numbers-dev/telnyx/{agency_id}", "phone-numbers-dev/telnyx-platform"})

    def test_a_role_reaches_only_the_secrets_that_its_function_is_told_of(self):
        given = {"DatabaseReadSecretId": "read", "DatabaseAssignSecretId": "assign", "DatabaseSpendSecretId": "spend", "DatabaseSecretId": "owner"}
        for parameters in ({}, given):
            resources = source()["Resources"]
            for function, properties in serverless_functions().items():
                role = resources[f"PhoneNumbers{function}Role"]["Properties"]
                if function == "Migrate":
                    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
                else:
                    policy = resources[f"Database{LOGINS[function]}SecretPolicy"]["Properties"]
                    statements = policy["PolicyDocument"]["Statement"]
                reached = {resolved(s["Resource"], parameters) for s in without_conditions(statements) if "GetSecretValue" in str(s["Action"])}
                told = resolved(properties["Environment"]["Variables"]["DATABASE_SECRET_ID"], parameters)
                self.assertEqual(reached, {f"arn:aws:secretsmanager:us-east-1:1:secret:{told}-??????"})
                expected = LOGINS.get(function, "owner").lower() if parameters else "phone-numbers-dev/database"
                self.assertEqual(told, expected)

    def test_the_deployment_is_named_after_the_stack(self):
        self.assertEqual(source()["Globals"]["Function"]["Environment"]["Variables"]["DEPLOYMENT"], {"Ref": "AWS::StackName"})

    def test_function_urls_are_on_in_every_environment(self):
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        self.assertEqual(source()["Parameters"]["FunctionUrls"]["Default"], "true")
        for name in ("dev", "staging", "prod"):
            self.assertNotIn("FunctionUrls=false", configured[name]["deploy"]["parameters"]["parameter_overrides"])

    def test_prod_has_to_say_who_is_alarmed(self):
        self.assertNotIn("Default", source()["Parameters"]["AlarmTopicArn"])
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        silent = {name for name in ("dev", "staging", "prod") if "AlarmTopicArn=none" in configured[name]["deploy"]["parameters"]["parameter_overrides"]}
        self.assertEqual(silent, {"dev", "staging"})

    def test_every_command_of_the_sam_cli_expands_loops(self):
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        for command in ("build", "validate", "package", "sync", "local_invoke", "local_start_api", "local_start_lambda"):
            self.assertIs(configured["default"][command]["parameters"]["language_extensions"], True, command)
        for name in ("default", "dev", "staging", "prod"):
            self.assertIs(configured[name]["deploy"]["parameters"]["language_extensions"], True, name)
        self.assertIn("AWS::LanguageExtensions", parsed()["Transform"])


class Parameters(unittest.TestCase):
    # Settings that an operator has no use for, or that Lambda sets.
    UNSET = {"AWS_CA_BUNDLE", "DATABASE_SSLMODE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
             "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"}

    def test_every_setting_can_be_set_through_the_template(self):
        settings = set(re.findall(r"^    ([A-Z_]+)(?: formerly \w+)?: ", (ROOT / "shared/src/config/table.rs").read_text(), re.M))
        self.assertIn("LEASE_MS", settings)
        variables = dict(source()["Globals"]["Function"]["Environment"]["Variables"])
        for properties in serverless_functions().values():
            variables |= properties["Environment"]["Variables"]
        self.assertEqual(settings - variables.keys(), self.UNSET)
        literals = {name for name, value in variables.items() if not isinstance(value, dict)}
        self.assertEqual(literals, {"DATABASE_URL", "JWT_SECRET", "TELNYX_API_KEY", "REQUEST_BUDGET_MS"})

    def test_every_parameter_is_described_here_and_in_the_documentation(self):
        documented = (ROOT / "docs/deployment.md").read_text() + (ROOT / "docs/configuration.md").read_text()
        for name, parameter in source()["Parameters"].items():
            self.assertTrue(parameter.get("Description"), name)
            self.assertIn(f"`{name}`", documented)

    def test_the_documented_connections_follow_from_the_bounds_on_concurrency(self):
        documented = (ROOT / "docs/deployment.md").read_text()
        per_instance, = re.findall(r"at most (\w+) connections", documented)
        self.assertEqual(per_instance, "two")
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        for name in ("staging", "prod"):
            values = dict(pair.split("=") for pair in configured[name]["deploy"]["parameters"]["parameter_overrides"])
            web, reconcile = len(WEB) * int(values["ReservedConcurrency"]), int(values["ReconcileReservedConcurrency"])
            self.assertIn(f"must be above the sum, {2 * web + 2 * reconcile + 2},", documented)
            # AWS leaves 100 of the quota of 1,000 unreserved.
            self.assertLess(web + reconcile + 2, 900 / 3)

    def test_addresses_take_https_alone(self):
        parameters = source()["Parameters"]
        for name in ("TelnyxApiUrl", "JwksUrl"):
            self.assertRegex("https://example.com", parameters[name]["AllowedPattern"])
            self.assertNotRegex("http://example.com", parameters[name]["AllowedPattern"])

    def test_the_sam_cli_starts_every_function_locally_without_a_layer_and_with_no_secret_of_a_real_stack(self):
        stacks, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"), language_extensions_enabled=True)
        functions = list(SamFunctionProvider(stacks).get_all())
        functions = [function for function in functions if not function.name.endswith("BeforeTraffic")]
        self.assertEqual({function.name for function in functions}, {f"PhoneNumbers{name}Function" for name in serverless_functions()})
        for function in functions:
            self.assertEqual(function.layers, [])
            self.assertEqual(function.environment["Variables"]["DATABASE_SECRET_ID"], "local/database")

    def test_the_sam_cli_expands_the_loops_to_the_same_resources(self):
        theirs = expand_language_extensions(copy.deepcopy(parsed()), {"JwtIssuer": "x", "AllowedOrigins": "x", "AlarmTopicArn": "none"}, enabled=True)
        for section in ("Resources", "Outputs"):
            self.assertEqual(theirs.expanded_template[section].keys(), source()[section].keys())

    def test_the_template_can_be_read_in_one_sitting(self):
        self.assertLessEqual(len((ROOT / "template.yaml").read_text().splitlines()), 800)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    unittest.main(warnings="ignore")
