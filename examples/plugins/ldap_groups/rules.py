"""The rules: which group may log in where."""

import collections
import fnmatch

Rule = collections.namedtuple("Rule", "group targets")
Rule.__doc__ = "`targets` are patterns of account@host."


def read_rules(config):
    """The sections [rule_1], [rule_2] and so on, up to the first number that is missing. `config` is the SDK's."""
    rules = []
    while config.get_options("rule_{}".format(len(rules) + 1)):
        section = "rule_{}".format(len(rules) + 1)
        group = config.get(section, "group", required=True).strip()
        targets = config.getlist(section, "targets", required=True)
        if not group or any("@" not in target for target in targets):
            raise ValueError("[{}] needs a group, and targets like root@db*.example.com".format(section))
        rules.append(Rule(group, targets))
    if not rules:
        raise ValueError("the configuration has no [rule_1]: nobody could log in anywhere")
    return rules


def groups_for(rules, account, hosts):
    """The groups that may log in as `account` on a host with these names, in the order of the rules."""
    found = []
    for rule in rules:
        if rule.group not in found and any(_allows(target, account, host) for target in rule.targets for host in hosts):
            found.append(rule.group)
    return found


def _allows(target, account, host):
    """Names of hosts are not case sensitive, names of accounts are."""
    wanted_account, _, wanted_host = target.rpartition("@")
    return fnmatch.fnmatchcase(account, wanted_account) and fnmatch.fnmatchcase(host.lower(), wanted_host.lower())
