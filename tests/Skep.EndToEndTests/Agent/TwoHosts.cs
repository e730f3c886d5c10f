using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Agent;

/// <summary>Two network namespaces joined by a cable: an agent in one of them, a peer in the other.</summary>
internal sealed class TwoHosts : IDisposable
{
    public const string HostAddress = "198.18.77.1";
    public const string PeerAddress = "198.18.77.2";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private readonly string _host = $"skep-e2e-h-{Environment.ProcessId}";
    private readonly string _peer = $"skep-e2e-p-{Environment.ProcessId}";
    private readonly string _directory = Directory.CreateTempSubdirectory("skep-e2e-").FullName;

    public string Instance { get; } = $"e2e-two-{Environment.ProcessId}";

    public string State => Path.Combine(_directory, "state");

    public string ResourceFile => Path.Combine(_directory, "edge.yaml");

    public string Pins => $"/sys/fs/bpf/skep/{Instance}";

    public async Task BuildAsync()
    {
        await File.WriteAllTextAsync(ResourceFile, "# none");
        await IpAsync("netns", "add", _host);
        await IpAsync("netns", "add", _peer);
        await IpAsync("link", "add", "cable", "netns", _host, "type", "veth", "peer", "name", "cable", "netns", _peer);
        await IpAsync("-n", _host, "addr", "add", HostAddress + "/24", "dev", "cable");
        await IpAsync("-n", _peer, "addr", "add", PeerAddress + "/24", "dev", "cable");
        foreach (var name in new[] { _host, _peer })
        {
            await IpAsync("-n", name, "link", "set", "lo", "up");
            await IpAsync("-n", name, "link", "set", "cable", "up");
        }
    }

    /// <summary>Starts an agent on the host. By nsenter, not 'ip netns exec': that would hide the BPF file system behind a fresh /sys.</summary>
    public async Task<ChildProcess> StartAgentAsync(bool withoutBtf = false)
    {
        string[] hidden = withoutBtf ? ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"", "sh"] : [];
        var agent = ChildProcess.Start(
            "nsenter",
            [
                $"--net=/run/netns/{_host}", .. hidden, "dotnet", "exec", Path.Combine(AppContext.BaseDirectory, "Skep.Cli.dll"),
                "agent", "--instance", Instance, "--state", State, "--resources", ResourceFile, "--engine", "kernel", "--listen", "off",
            ]);
        await Eventually.HoldsAsync(async () => (await SkepAsync("status")).Code == 0, s_limit, () => agent.Output);
        return agent;
    }

    /// <summary>Runs the command against the agent.</summary>
    public async Task<(int Code, string Output)> SkepAsync(params string[] arguments)
    {
        using var process = Repository.Skep([arguments[0], "--instance", Instance, .. arguments[1..]]);
        return (await process.EndsAsync(s_limit), process.Output);
    }

    /// <summary>Gives the cable of the host another name.</summary>
    public async Task RenameAsync(string from, string to)
    {
        await IpAsync("-n", _host, "link", "set", from, "down");
        await IpAsync("-n", _host, "link", "set", from, "name", to);
        await IpAsync("-n", _host, "link", "set", to, "up");
    }

    /// <summary>Whether a datagram of the peer reaches a socket of the host.</summary>
    public async Task<bool> ReachesAsync()
    {
        using var host = new LabNamespace(_host);
        using var peer = new LabNamespace(_peer);
        using var listener = await host.RunAsync(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 300 };
            socket.Bind(new IPEndPoint(IPAddress.Parse(HostAddress), 0));
            return socket;
        });
        using var sender = await peer.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        sender.SendTo("x"u8, listener.LocalEndPoint!);
        try
        {
            return listener.Receive(new byte[8]) == 1;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            return false;
        }
    }

    public void Dispose()
    {
        SkepAsync("down", "--forget", "--state", State).GetAwaiter().GetResult();
        foreach (var name in new[] { _host, _peer }.Where(n => File.Exists($"/run/netns/{n}")))
        {
            IpAsync("netns", "del", name).GetAwaiter().GetResult();
        }

        Directory.Delete(_directory, recursive: true);
        if (Directory.Exists($"/run/skep/{Instance}"))
        {
            Directory.Delete($"/run/skep/{Instance}", recursive: true);
        }
    }

    private static async Task IpAsync(params string[] arguments)
    {
        using var ip = ChildProcess.Start("ip", arguments);
        Assert.True(await ip.EndsAsync(s_limit) == 0, ip.Output);
    }
}
