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
/// A balancer between a client and its backends. With direct return, these have the virtual address on their loopback device and cables by which they answer the client
/// past the balancer; without, they answer through it.
/// <code>
/// client 198.18.80.2 --- balancer --- 198.18.8x.2 backend x (eth0)
///        198.18.9x.1 -------------------- 198.18.9x.2 backend x (back)      x = 1, 2 ...
/// </code>
/// </summary>
/// <param name="backends">Number of backends.</param>
/// <param name="direct">Whether backends answer past the balancer.</param>
internal sealed partial class BalancerHosts(int backends = 2, bool direct = true)
    : NamespaceHosts("dsr", ["client", "lb", .. Enumerable.Range(1, backends).Select(x => $"b{x}")])
{
    public const string Vip = "198.18.100.1";
    public const int Port = 8000;

    /// <summary>What makes a backend take outer headers off.</summary>
    public static string Endpoint(int x, string hook = "auto") => $"""
        apiVersion: skep.dev/v1
        kind: TunnelEndpoint
        metadata:
          name: backend
        spec:
          interfaces: [eth0]
          hook: {hook}
          tunnelAddresses: [198.18.8{x}.2]
          addresses: [{Vip}]
          balancers: [198.18.8{x}.1]
        """;
    private const string Client = "198.18.80.2";

    private Link? _pass;

    public string Balancer => "lb";

    public async Task BuildAsync()
    {
        foreach (var role in Roles)
        {
            await IpAsync("netns", "add", NameOf(role));
        }

        await CableAsync("client", "eth0", Client, "lb", "client", "198.18.80.1");
        for (var x = 1; x <= backends; x++)
        {
            await CableAsync($"b{x}", "eth0", $"198.18.8{x}.2", "lb", $"b{x}", $"198.18.8{x}.1");
            if (!direct)
            {
                await IpAsync("-n", NameOf($"b{x}"), "route", "add", Client, "via", $"198.18.8{x}.1");
                continue;
            }

            await CableAsync($"b{x}", "back", $"198.18.9{x}.2", "client", $"back{x}", $"198.18.9{x}.1");
            await IpAsync("-n", NameOf($"b{x}"), "addr", "add", Vip + "/32", "dev", "lo");
            await IpAsync("-n", NameOf($"b{x}"), "route", "add", Client, "via", $"198.18.9{x}.1");
        }

        await IpAsync("-n", NameOf("client"), "route", "add", Vip, "via", "198.18.80.1", "mtu", "1500");
        foreach (var role in Roles.Where(r => r != Balancer))
        {
            using var place = Namespace(role);
            place.Run(() => Offload.SetReceiveCoalescing("eth0", on: true));
            place.Set("ipv4/conf/all/rp_filter", "0");
            place.Set("ipv4/conf/eth0/rp_filter", "0");
        }

        if (!direct)
        {
            using var balancer = Namespace(Balancer);
            balancer.Set("ipv4/ip_forward", "1");
            return;
        }

        using var client = Namespace("client");
        client.Run(() => Offload.DisableTransmitChecksum("eth0"));

        // A veth hands frames that an XDP program sends back only to an end that has an XDP program too.
        using var pass = ProgramLoader.Load(new Assembler().Move(Register.R0, (int)XdpAction.Pass).Exit().Build("pass", ProgramType.Xdp));
        _pass = client.Run(() => XdpLink.Attach(pass, (int)if_nametoindex("eth0")));
    }

    /// <summary>Has a host compute checksums itself, as XDP wants them that rewrites or wraps packets.</summary>
    public void DisableTransmitChecksum(string role)
    {
        using var place = Namespace(role);
        place.Run(() => Offload.DisableTransmitChecksum("eth0"));
    }

    /// <summary>A connection of the client to the virtual address.</summary>
    public async Task<TcpClient> ConnectAsync(int port = Port)
    {
        using var place = Namespace("client");
        var client = place.Run(() => new TcpClient(new IPEndPoint(IPAddress.Parse(Client), 0)));
        using var stop = new CancellationTokenSource(Limit);
        await client.ConnectAsync(IPAddress.Parse(Vip), port, stop.Token);
        return client;
    }

    public async Task<string> AskAsync(int bytes, int port = Port)
    {
        using var client = await ConnectAsync(port);
        return await AskAsync(client, bytes);
    }

    /// <summary>Answers, on a backend, as the other one, at the usual port.</summary>
    public void Serve(string backend, Func<TimeSpan>? delay = null) => Serve(backend, Port, delay);

    public override void Dispose()
    {
        _pass?.Dispose();
        base.Dispose();
    }

    private async Task CableAsync(string one, string device, string address, string other, string otherDevice, string otherAddress)
    {
        await IpAsync("link", "add", device, "netns", NameOf(one), "type", "veth", "peer", "name", otherDevice, "netns", NameOf(other));
        foreach (var (role, name, own) in new[] { (one, device, address), (other, otherDevice, otherAddress) })
        {
            await IpAsync("-n", NameOf(role), "addr", "add", own + "/24", "dev", name);
            await IpAsync("-n", NameOf(role), "link", "set", "lo", "up");
            await IpAsync("-n", NameOf(role), "link", "set", name, "up");
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint if_nametoindex(string name);
}
