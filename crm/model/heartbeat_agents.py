"""Which parameter an argument of a haresources line is, by agent and position.

Lines of a haresources file give arguments without names (`Filesystem::/dev/sdb1::/srv::xfs`); the
names are those of the OCF agents of Heartbeat 2.1 and of the fencing plug-ins of its time. The
agents' own metadata may have grown since: it is not consulted here.
"""

from __future__ import annotations

from collections.abc import Mapping

_AGENTS = {
    "apache": "configfile httpd port statusurl options testregex",
    "AudibleAlarm": "nodelist",
    "ClusterMon": "user update extra_options pidfile htmlfile",
    "db2": "instance admin",
    "Delay": "startdelay stopdelay mondelay",
    "drbd": (
        "drbd_resource drbdconf clone_overrides_hostname clone_max clone_node_max "
        "master_max master_node_max"
    ),
    "Dummy": "state",
    "eDir88": (
        "eDir_config_file eDir_monitor_ldap eDir_monitor_idm eDir_jvm_initial_heap "
        "eDir_jvm_max_heap eDir_jvm_options"
    ),
    "Evmsd": "",
    "EvmsSCC": "",
    "Filesystem": "device directory fstype options ocfs2_cluster ocfs2_configfs",
    "ICP": "driveid device",
    "ids": "informixdir informixserver onconfig dbname sqltestquery",
    "IPaddr": (
        "ip nic cidr_netmask broadcast iflabel lvs_support local_stop_script "
        "local_start_script ARP_INTERVAL_MS ARP_REPEAT ARP_BACKGROUND ARP_NETMASK"
    ),
    "IPaddr2": (
        "ip nic cidr_netmask broadcast iflabel lvs_support mac clusterip_hash "
        "arp_interval arp_count arp_bg arp_mac"
    ),
    "IPsrcaddr": "ipaddress",
    "IPv6addr": "ipv6addr",
    "iscsi": "portal target discovery_type iscsiadm",
    "LinuxSCSI": "scsi",
    "LVM": "volgrpname",
    "MailTo": "email subject",
    "ManageRAID": "raidname",
    "ManageVE": "veid",
    "mysql": (
        "binary config datadir user group log pid socket test_table test_user test_passwd "
        "enable_creation additional_parameters"
    ),
    "o2cb": "netdev port ocfs2_cluster",
    "oracle": "sid home user ipcrm",
    "oralsnr": "sid home user listener",
    "pgsql": ("pgctl start_opt ctl_opt psql pgdata pgdba pghost pgport pgdb logfile stop_escalate"),
    "pingd": "pidfile user dampen set name section multiplier host_list",
    "portblock": "protocol portno action",
    "Pure-FTPd": "script conffile daemon_type pidfile",
    "Raid1": "raidconf raiddev homehost",
    "rsyncd": "binpath conffile bwlimit",
    "SAPDatabase": (
        "SID DIR_EXECUTABLE DBTYPE NETSERVICENAME DBJ2EE_ONLY DIR_BOOTSTRAP DIR_SECSTORE"
    ),
    "SAPInstance": "InstanceName DIR_EXECUTABLE DIR_PROFILE START_PROFILE",
    "SendArp": "ip nic",
    "ServeRAID": "serveraid mergegroup",
    "Stateful": "state",
    "SysInfo": "pidfile delay",
    "tomcat": (
        "tomcat_name script_log tomcat_stop_timeout tomcat_suspend_trialcount tomcat_user "
        "statusurl java_home catalina_home catalina_pid"
    ),
    "VIPArip": "ip nic",
    "WAS": "config port",
    "WAS6": "profile",
    "WinPopup": "hostfile",
    "Xen": "xmfile",
    "Xinetd": "service",
}

_STONITH = {
    "ssh": "hostlist",
    "external/ssh": "hostlist",
    "meatware": "hostlist",
    "null": "hostlist",
    "baytech": "ipaddr login password",
    "apcmaster": "ipaddr login password",
    "wti_nps": "ipaddr password",
    "rps10": "serial_to_targets",
    "apcsmart": "ttydev hostlist",
}

AGENT_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    agent: tuple(names.split()) for agent, names in _AGENTS.items()
}
"""Parameter names of the OCF agents of provider heartbeat, in the order of their arguments."""

STONITH_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    device: tuple(names.split()) for device, names in _STONITH.items()
}
"""Parameter names of fencing plug-ins, in the order of a `stonith_host` line."""

ADDRESS_AGENTS = frozenset({"IPaddr", "IPaddr2"})
"""Agents whose one argument is an address with mask, interface and broadcast after slashes."""

QUICK_AGENTS = frozenset({"IPaddr", "IPaddr2", "IPsrcaddr", "IPv6addr"})
"""Agents that are watched every five seconds; all others every two minutes."""
