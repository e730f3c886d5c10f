using System.Net;
using Skep.Cli.Lab.Kernel;

namespace Skep.Cli.Lab.Network;

/// <summary>
/// The small network: everything reaches everything else through the edge, which forwards and on which the agent runs.
/// <code>
/// clients  198.18.1.0/24  fd5e:1::/64  ---+          +--- svc1  198.18.11.0/24  fd5e:11::/64
///                                         +-- edge --+--- svc2  198.18.12.0/24  fd5e:12::/64
/// attacker 198.18.2.0/24  fd5e:2::/64  ---+          +--- svc3  198.18.13.0/24  fd5e:13::/64
/// virtual address of the balanced services: 198.18.100.1, fd5e:100::1 (on no device)
/// </code>
/// 198.18.0.0/15 is the range for such networks (RFC 2544). The balancer rewrites addresses only, so answers must come back
/// through the edge: it is everybody's default route.
/// </summary>
internal sealed class LabTopology : IDisposable
{
    internal const string Prefix = "skep-lab-";
    internal const int ClientAddresses = 8;
    private const int FirstHost = 10;

    internal static readonly IPAddress VirtualV4 = IPAddress.Parse("198.18.100.1");
    internal static readonly IPAddress VirtualV6 = IPAddress.Parse("fd5e:100::1");

    private LabTopology(LabNamespace edge, LabNode clients, LabNode attacker, LabNode[] services)
    {
        Edge = edge;
        Clients = clients;
        Attacker = attacker;
        Services = services;
    }

    internal LabNamespace Edge { get; }

    internal LabNode Clients { get; }

    internal LabNode Attacker { get; }

    internal IReadOnlyList<LabNode> Services { get; }

    internal IEnumerable<LabNode> Hosts => [Clients, Attacker, .. Services];

    /// <summary>Names of the edge's devices, the ends of the cables to clients, attacker and services.</summary>
    internal IEnumerable<string> EdgeDevices => Hosts.Select(h => h.Device);

    /// <summary>Builds the network. Every namespace is written to the journal before it is made.</summary>
    internal static LabTopology Create(LabJournal journal)
    {
        string NameOf(string role) => $"{Prefix}{journal.Run}-{role}";
        (string Role, int Subnet, int Addresses)[] roles =
            [("clients", 1, ClientAddresses), ("attacker", 2, 1), ("svc1", 11, 1), ("svc2", 12, 1), ("svc3", 13, 1)];

        string[] names = [NameOf("edge"), .. roles.Select(r => NameOf(r.Role))];
        foreach (var name in names)
        {
            journal.RecordNamespace(name);
        }

        Tool.Batch("ip", null, names.Select(n => $"netns add {n}"));
        Tool.Batch("ip", null, roles.Select(r => $"link add {r.Role} netns {NameOf("edge")} type veth peer name eth0 netns {NameOf(r.Role)}"));

        var edge = new LabNamespace(NameOf("edge"));
        ConfigureEdge(edge, roles.Select(r => (r.Role, r.Subnet)).ToArray());
        var hosts = roles.Select(r => ConfigureHost(NameOf(r.Role), r.Role, r.Subnet, r.Addresses)).ToArray();
        return new LabTopology(edge, hosts[0], hosts[1], hosts[2..]);
    }

    private static void ConfigureEdge(LabNamespace edge, (string Device, int Subnet)[] cables)
    {
        edge.Set("ipv6/conf/default/accept_dad", "0");
        edge.Set("ipv6/conf/all/forwarding", "1");
        edge.Set("ipv4/ip_forward", "1");
        edge.Set("ipv4/conf/all/rp_filter", "0");
        foreach (var (device, _) in cables)
        {
            // Answers arrive with the virtual address as their source once the balancer has rewritten them.
            edge.Set($"ipv4/conf/{device}/rp_filter", "0");
            edge.Run(() => Offload.SetReceiveCoalescing(device, on: false));
        }

        Tool.Batch("ip", edge.Name, cables.SelectMany(c => new[]
        {
            $"address add 198.18.{c.Subnet}.1/24 dev {c.Device}",
            $"address add fd5e:{c.Subnet}::1/64 dev {c.Device} nodad",
            $"link set {c.Device} up",
        }).Prepend("link set lo up"));
    }

    private static LabNode ConfigureHost(string name, string role, int subnet, int addresses)
    {
        var host = new LabNamespace(name);
        var v4 = Enumerable.Range(FirstHost, addresses).Select(i => IPAddress.Parse($"198.18.{subnet}.{i}")).ToArray();
        var v6 = Enumerable.Range(FirstHost, addresses).Select(i => IPAddress.Parse($"fd5e:{subnet}::{i}")).ToArray();
        host.Set("ipv6/conf/default/accept_dad", "0");
        host.Set("ipv6/conf/eth0/router_solicitations", "0");
        Tool.Batch("ip", name,
        [
            "link set lo up",
            .. v4.Select(a => $"address add {a}/24 dev eth0"),
            .. v6.Select(a => $"address add {a}/64 dev eth0 nodad"),
            "link set eth0 up",
            $"route add default via 198.18.{subnet}.1",
            $"route add default via inet6 fd5e:{subnet}::1",
        ]);
        return new LabNode(host, role, v4, v6);
    }

    public void Dispose()
    {
        Edge.Dispose();
        foreach (var host in Hosts)
        {
            host.Namespace.Dispose();
        }
    }
}
