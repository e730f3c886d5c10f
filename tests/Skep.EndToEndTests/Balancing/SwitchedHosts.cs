using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Cli.Lab.Kernel;

namespace Skep.EndToEndTests.Balancing;

/// <summary>
/// A client, two balancers and three backends on one switch, with addresses of both families; all of them by <c>eth0</c>. Backends have the virtual addresses on their
/// loopback devices and answer the client past the balancers. Which of these gets the client's packets, the client's routes say.
/// <code>
/// client .2   lb .11   lb2 .12   b1 .21   b2 .22   b3 .23     in 198.18.80.0/24 and fd5e:80::/64
/// </code>
/// </summary>
internal sealed partial class SwitchedHosts() : NamespaceHosts("switch", ["switch", .. s_ends.Keys])
{
    public const int Port = 8000;

    private static readonly Dictionary<string, int> s_ends = new()
    {
        ["client"] = 2,
        ["lb"] = 11,
        ["lb2"] = 12,
        ["b1"] = 21,
        ["b2"] = 22,
        ["b3"] = 23,
    };

    private readonly List<Link> _pass = [];

    /// <summary>The virtual address of a family.</summary>
    public static IPAddress Vip(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd5e:100::1" : "198.18.100.1");

    /// <summary>The address of a host on the switch.</summary>
    public static string AddressOf(string role, bool isIPv6) => (isIPv6 ? "fd5e:80::" : "198.18.80.") + s_ends[role];

    /// <summary>What makes a backend take outer headers off, and send on what is a peer's.</summary>
    public static string Endpoint(string backend, bool isIPv6) => $"""
        apiVersion: skep.dev/v1
        kind: TunnelEndpoint
        metadata:
          name: backend
        spec:
          interfaces: [eth0]
          tunnelAddresses: ["{AddressOf(backend, isIPv6)}"]
          addresses: ["{Vip(isIPv6)}"]
          balancers: ["{AddressOf("lb", isIPv6)}", "{AddressOf("lb2", isIPv6)}"]
          peers: [{string.Join(", ", s_ends.Keys.Where(r => r[0] == 'b' && r != backend).Select(r => $"\"{AddressOf(r, isIPv6)}\""))}]
        """;

    public async Task BuildAsync()
    {
        foreach (var role in Roles)
        {
            await IpAsync("netns", "add", NameOf(role));
            await IpAsync("-n", NameOf(role), "link", "set", "lo", "up");
            using var place = Namespace(role);
            place.Set("ipv6/conf/default/accept_dad", "0");
        }

        await IpAsync("-n", NameOf("switch"), "link", "add", "ports", "type", "bridge", "mcast_snooping", "0");
        await IpAsync("-n", NameOf("switch"), "link", "set", "ports", "up");
        foreach (var role in s_ends.Keys)
        {
            await PlugInAsync(role);
        }

        foreach (var role in new[] { "b1", "b2", "b3" })
        {
            await IpAsync("-n", NameOf(role), "addr", "add", Vip(false) + "/32", "dev", "lo");
            await IpAsync("-n", NameOf(role), "addr", "add", Vip(true) + "/128", "dev", "lo", "nodad");
        }

        // A veth hands frames that an XDP program sends back only to an end that has an XDP program too.
        using var ports = Namespace("switch");
        using var pass = ProgramLoader.Load(new Assembler().Move(Register.R0, (int)XdpAction.Pass).Exit().Build("pass", ProgramType.Xdp));
        foreach (var balancer in new[] { "lb", "lb2" })
        {
            _pass.Add(ports.Run(() => XdpLink.Attach(pass, (int)if_nametoindex(balancer))));
        }

        // XDP needs whole checksums and room for outer headers.
        using var client = Namespace("client");
        client.Run(() => Offload.DisableTransmitChecksum("eth0"));
        await RouteByAsync("lb");
    }

    /// <summary>Has the client send what is for the virtual addresses to a balancer, from its next packet on.</summary>
    public async Task RouteByAsync(string balancer)
    {
        foreach (var isIPv6 in new[] { false, true })
        {
            await IpAsync("-n", NameOf("client"), "route", "replace", Vip(isIPv6).ToString(), "via", AddressOf(balancer, isIPv6), "mtu", "1400");
        }
    }

    /// <summary>A connection of the client to the virtual address.</summary>
    public async Task<TcpClient> ConnectAsync(bool isIPv6, int port = Port)
    {
        using var place = Namespace("client");
        var client = place.Run(() => new TcpClient(new IPEndPoint(IPAddress.Parse(AddressOf("client", isIPv6)), 0)));
        using var stop = new CancellationTokenSource(Limit);
        await client.ConnectAsync(Vip(isIPv6), port, stop.Token);
        return client;
    }

    public override void Dispose()
    {
        _pass.ForEach(p => p.Dispose());
        base.Dispose();
    }

    private async Task PlugInAsync(string role)
    {
        await IpAsync("link", "add", "eth0", "netns", NameOf(role), "type", "veth", "peer", "name", role, "netns", NameOf("switch"));
        await IpAsync("-n", NameOf("switch"), "link", "set", role, "master", "ports", "up");
        await IpAsync("-n", NameOf(role), "addr", "add", AddressOf(role, false) + "/24", "dev", "eth0");
        await IpAsync("-n", NameOf(role), "addr", "add", AddressOf(role, true) + "/64", "dev", "eth0", "nodad");
        await IpAsync("-n", NameOf(role), "link", "set", "eth0", "up");

        using var place = Namespace(role);
        place.Set("ipv4/conf/all/rp_filter", "0");
        place.Set("ipv4/conf/eth0/rp_filter", "0");
        place.Set("ipv4/conf/all/arp_ignore", "1");
        place.Set("ipv4/conf/all/arp_announce", "2");
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint if_nametoindex(string name);
}
