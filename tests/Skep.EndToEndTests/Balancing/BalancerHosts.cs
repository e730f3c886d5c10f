using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Skep.Agent.Api;
using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Cli;
using Skep.Cli.Lab.Kernel;
using Skep.Cli.Lab.Network;
using Skep.EndToEndTests.Surroundings;

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
internal sealed partial class BalancerHosts(int backends = 2, bool direct = true) : IDisposable
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
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly string _run = $"skep-dsr-{Environment.ProcessId}";
    private readonly string _directory = Directory.CreateTempSubdirectory("skep-e2e-").FullName;
    private readonly List<Socket> _listeners = [];
    private readonly Dictionary<string, ChildProcess> _agents = [];
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

    /// <summary>A host, to make sockets in.</summary>
    public LabNamespace Namespace(string role) => new(NameOf(role));

    /// <summary>Names of the interfaces of a host.</summary>
    public string[] Devices(string role)
    {
        using var place = Namespace(role);
        return place.Run(() => System.Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces().Select(i => i.Name).ToArray());
    }

    /// <summary>A socket that listens on a backend, until the hosts are gone.</summary>
    public Socket Listen(string backend, int port)
    {
        using var place = Namespace(backend);
        var listener = place.Run(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.Listen(4096);
            return socket;
        });
        _listeners.Add(listener);
        return listener;
    }

    /// <summary>Answers, on a backend, every connection with the backend's name once it has read as many bytes as the first four say.</summary>
    /// <param name="backend">Where.</param>
    /// <param name="port">Port.</param>
    /// <param name="delay">How long it takes; asked for each answer. Null for none.</param>
    public void Serve(string backend, int port = Port, Func<TimeSpan>? delay = null) => _ = AcceptAsync(Listen(backend, port), backend, delay);

    /// <summary>A connection of the client to the virtual address.</summary>
    public async Task<TcpClient> ConnectAsync(int port = Port)
    {
        using var place = Namespace("client");
        var client = place.Run(() => new TcpClient(new IPEndPoint(IPAddress.Parse(Client), 0)));
        using var stop = new CancellationTokenSource(s_limit);
        await client.ConnectAsync(IPAddress.Parse(Vip), port, stop.Token);
        return client;
    }

    /// <summary>Sends bytes over a connection and gives the name that comes back.</summary>
    public static async Task<string> AskAsync(TcpClient client, int bytes)
    {
        using var stop = new CancellationTokenSource(s_limit);
        var stream = client.GetStream();
        await stream.WriteAsync(BitConverter.GetBytes(bytes), stop.Token);
        await stream.WriteAsync(new byte[bytes], stop.Token);
        var answer = new byte[2];
        await stream.ReadExactlyAsync(answer, stop.Token);
        return Encoding.ASCII.GetString(answer);
    }

    public async Task<string> AskAsync(int bytes, int port = Port)
    {
        using var client = await ConnectAsync(port);
        return await AskAsync(client, bytes);
    }

    /// <summary>Starts an agent on a host with these resources. By nsenter, not 'ip netns exec': that would hide the BPF file system behind a fresh /sys.</summary>
    public async Task<ChildProcess> StartAgentAsync(string role, string resources, params string[] options)
    {
        await WriteAsync(role, resources);
        var agent = ChildProcess.Start(
            "nsenter",
            [
                $"--net=/run/netns/{NameOf(role)}", "dotnet", "exec", Path.Combine(AppContext.BaseDirectory, "Skep.Cli.dll"), "agent", "--instance", InstanceOf(role),
                "--state", StateOf(role), "--resources", FileOf(role), "--engine", "kernel", "--listen", "off", .. options,
            ]);
        if (_agents.Remove(role, out var before))
        {
            before.Dispose();
        }

        _agents.Add(role, agent);
        await Eventually.HoldsAsync(() => IsReadyAsync(role, agent.Id), s_limit, () => agent.Output);
        return agent;
    }

    // Of that process: the socket of one that was killed is still there.
    private async Task<bool> IsReadyAsync(string role, int process)
    {
        try
        {
            using var client = AgentClient.For(InstanceOf(role), null);
            var status = await client.GetAsync("api/v1/status", ApiJson.Default.StatusView, CancellationToken.None);
            return status.Ready && status.Pid == process;
        }
        catch (VerbException)
        {
            return false;
        }
    }

    public Task WriteAsync(string role, string resources) => File.WriteAllTextAsync(FileOf(role), resources);

    /// <summary>Runs the command against the agent of a host.</summary>
    public async Task<(int Code, string Output)> SkepAsync(string role, params string[] arguments)
    {
        using var process = Repository.Skep([arguments[0], "--instance", InstanceOf(role), .. arguments[1..]]);
        return (await process.EndsAsync(s_limit), process.Output);
    }

    public void Dispose()
    {
        _listeners.ForEach(l => l.Dispose());
        _pass?.Dispose();
        foreach (var (role, agent) in _agents)
        {
            agent.Dispose();
            SkepAsync(role, "down", "--forget", "--state", StateOf(role)).GetAwaiter().GetResult();
            if (Directory.Exists($"/run/skep/{InstanceOf(role)}"))
            {
                Directory.Delete($"/run/skep/{InstanceOf(role)}", recursive: true);
            }
        }

        foreach (var name in Roles.Select(NameOf).Where(n => File.Exists($"/run/netns/{n}")))
        {
            IpAsync("netns", "del", name).GetAwaiter().GetResult();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private string[] Roles => ["client", "lb", .. Enumerable.Range(1, backends).Select(x => $"b{x}")];

    private string NameOf(string role) => $"{_run}-{role}";

    public string InstanceOf(string role) => $"e2e-dsr-{role}-{Environment.ProcessId}";

    private string StateOf(string role) => Path.Combine(_directory, role);

    private string FileOf(string role) => Path.Combine(_directory, role + ".yaml");

    private static async Task AcceptAsync(Socket listener, string name, Func<TimeSpan>? delay)
    {
        try
        {
            while (true)
            {
                _ = AnswerAsync(await listener.AcceptAsync(), name, delay);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static async Task AnswerAsync(Socket connection, string name, Func<TimeSpan>? delay)
    {
        using var stream = new NetworkStream(connection, ownsSocket: true);
        var length = new byte[4];
        try
        {
            while (true)
            {
                await stream.ReadExactlyAsync(length);
                var rest = new byte[BitConverter.ToInt32(length)];
                await stream.ReadExactlyAsync(rest);
                if (delay is not null)
                {
                    await Task.Delay(delay());
                }

                await stream.WriteAsync(Encoding.ASCII.GetBytes(name));
            }
        }
        catch (Exception e) when (e is IOException or EndOfStreamException)
        {
            // The client has closed.
        }
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

    private static async Task IpAsync(params string[] arguments)
    {
        using var ip = ChildProcess.Start("ip", arguments);
        Assert.True(await ip.EndsAsync(s_limit) == 0, string.Join(' ', arguments) + ": " + ip.Output);
    }
}
