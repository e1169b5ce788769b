from __future__ import annotations

from crm.fencing.devices import Device, Reach, devices_for, read_devices

RESOURCES = b"""<resources>
  <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/>
  <template id="pdu" class="stonith" type="apcmaster">
    <instance_attributes id="pi"><nvpair id="p1" name="hostlist" value="a"/></instance_attributes>
  </template>
  <clone id="c">
    <primitive id="dev" class="stonith" type="external/ssh">
      <instance_attributes id="i"><nvpair id="n" name="hostlist" value="Node1 node2,node3"/>
      </instance_attributes>
    </primitive>
  </clone>
  <primitive id="mapped" class="stonith" type="fence_apc">
    <instance_attributes id="i2"><nvpair id="n2" name="pcmk_host_map" value="n1:1;n2:2,3"/>
    </instance_attributes>
  </primitive>
  <primitive id="fromtemplate" template="pdu"/>
  <primitive id="any" class="stonith" type="x">
    <instance_attributes id="i3"><nvpair id="n3" name="pcmk_host_check" value="none"/>
    </instance_attributes>
  </primitive>
  <primitive id="mute" class="stonith" type="fence_x"/>
</resources>"""


def test_every_primitive_of_class_stonith_is_a_device() -> None:
    devices = read_devices(RESOURCES)

    assert [device.id for device in devices] == ["dev", "mapped", "fromtemplate", "any", "mute"]


def test_a_host_list_names_nodes_in_any_case_and_separation() -> None:
    device = read_devices(RESOURCES)[0]

    assert device.hosts == {"node1", "node2", "node3"}
    assert device.reach("NODE2") is Reach.YES
    assert device.reach("node4") is Reach.NO


def test_a_host_map_names_nodes_before_the_colon() -> None:
    assert read_devices(RESOURCES)[1].reach("n2") is Reach.YES


def test_a_device_takes_what_its_template_says() -> None:
    device = read_devices(RESOURCES)[2]

    assert (device.agent, device.hosts) == ("apcmaster", {"a"})


def test_a_device_without_a_list_reaches_nobody_knows_whom() -> None:
    assert read_devices(RESOURCES)[4].reach("node1") is Reach.UNKNOWN


def test_devices_that_only_might_fence_come_last() -> None:
    unsure, sure = Device("unsure", "x"), Device("sure", "x", frozenset({"a"}))
    other = Device("other", "x", frozenset({"b"}))

    assert devices_for([unsure, other, sure], "a") == [sure, unsure]
