using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Agent.Api;
using Skep.Cli;
using Skep.Cli.Lab.Network;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Hosts that are namespaces of this machine, each by its role in a test, with servers and agents on them; gone with this object.</summary>
/// <param name="kind">Short name of the surroundings, part of the names of namespaces and instances.</param>
/// <param name="roles">The hosts.</param>
internal abstract class NamespaceHosts(string kind, IReadOnlyList<string> roles) : IDisposable
{
    protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("skep-e2e-").FullName;
    private readonly List<Socket> _listeners = [];
    private readonly Dictionary<string, ChildProcess> _agents = [];

    /// <summary>The hosts.</summary>
    protected IReadOnlyList<string> Roles => roles;

    /// <summary>A host, to make sockets in.</summary>
    public LabNamespace Namespace(string role) => new(NameOf(role));

    /// <summary>Names of the interfaces of a host.</summary>
    public string[] Devices(string role)
    {
        using var place = Namespace(role);
        return place.Run(() => System.Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces().Select(i => i.Name).ToArray());
    }

    /// <summary>A socket that listens on a backend, on addresses of both families, until the hosts are gone.</summary>
    public Socket Listen(string backend, int port)
    {
        using var place = Namespace(backend);
        var listener = place.Run(() =>
        {
            var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
            socket.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
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
    public void Serve(string backend, int port, Func<TimeSpan>? delay = null) => _ = AcceptAsync(Listen(backend, port), backend, delay);

    /// <summary>Sends bytes over a connection and gives the name that comes back.</summary>
    public static async Task<string> AskAsync(TcpClient client, int bytes)
    {
        using var stop = new CancellationTokenSource(Limit);
        var stream = client.GetStream();
        await stream.WriteAsync(BitConverter.GetBytes(bytes), stop.Token);
        await stream.WriteAsync(new byte[bytes], stop.Token);
        var answer = new byte[2];
        await stream.ReadExactlyAsync(answer, stop.Token);
        return Encoding.ASCII.GetString(answer);
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
        await Eventually.HoldsAsync(() => IsReadyAsync(role, agent.Id), Limit, () => agent.Output);
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
        return (await process.EndsAsync(Limit), process.Output);
    }

    public virtual void Dispose()
    {
        _listeners.ForEach(l => l.Dispose());
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

    /// <summary>Name of the namespace of a host.</summary>
    protected string NameOf(string role) => $"skep-{kind}-{Environment.ProcessId}-{role}";

    /// <summary>Instance of the agent of a host.</summary>
    public string InstanceOf(string role) => $"e2e-{kind}-{role}-{Environment.ProcessId}";

    private string StateOf(string role) => Path.Combine(_directory, role);

    private string FileOf(string role) => Path.Combine(_directory, role + ".yaml");

    protected static async Task IpAsync(params string[] arguments)
    {
        using var ip = ChildProcess.Start("ip", arguments);
        Assert.True(await ip.EndsAsync(Limit) == 0, string.Join(' ', arguments) + ": " + ip.Output);
    }

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
}
