"""Which groups a login needs, and which configurations are refused."""

import unittest

from rules import Rule, groups_for, read_rules

RULES = [
    Rule("dba", ["root@db*.example.com", "postgres@*"]),
    Rule("ops", ["*@10.20.0.*"]),
    Rule("dba", ["root@10.20.0.7"]),
]


class Config(dict):
    """Stands in for the SDK's: sections of options."""

    def get_options(self, section):
        return list(self.get_section(section))

    def get_section(self, section):
        return dict.get(self, section, {})

    def get(self, section, option, required):
        return self.get_section(section)[option]

    def getlist(self, section, option, required):
        return [part.strip() for part in self.get(section, option, required).split(",")]


class Logins(unittest.TestCase):
    def test_a_login_needs_one_of_the_groups_whose_rules_have_it(self):
        for account, hosts, groups in [
            ("root", ["DB1.example.com"], ["dba"]),
            ("root", ["db1.example.com", "10.20.0.7"], ["dba", "ops"]),
            ("postgres", ["anywhere"], ["dba"]),
            ("root", ["web1.example.com"], []),
            ("Root", ["db1.example.com"], []),
            ("", [], []),
        ]:
            self.assertEqual(groups_for(RULES, account, hosts), groups)


class Configurations(unittest.TestCase):
    def test_rules_are_read_in_their_order_up_to_the_first_gap(self):
        rule = {"group": " dba ", "targets": "root@a, root@b"}
        config = Config(rule_1=rule, rule_2=dict(rule, group="ops"), rule_4=rule)
        self.assertEqual(read_rules(config), [Rule("dba", ["root@a", "root@b"]), Rule("ops", ["root@a", "root@b"])])

    def test_no_rule_or_half_a_rule_is_refused(self):
        for config in (
            Config(),
            Config(rule_2={"group": "dba", "targets": "root@a"}),
            Config(rule_1={"group": "", "targets": "root@a"}),
            Config(rule_1={"group": "dba", "targets": "root"}),
            Config(rule_1={"group": "dba", "targets": "root@a,"}),
        ):
            with self.assertRaises(ValueError):
                read_rules(config)


if __name__ == "__main__":
    unittest.main()
