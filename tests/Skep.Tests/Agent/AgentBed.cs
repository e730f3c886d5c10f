using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Skep.Agent;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Tests.Agent;

/// <summary>A platform on the twin with directories of its own.</summary>
internal sealed class AgentBed : IDisposable
{
    private const string Head = "apiVersion: skep.dev/v1\n";

    public AgentBed()
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("skep-agent-").FullName;
        ResourceFile = Path.Combine(Directory, "edge.yaml");
        Options = new AgentOptions
        {
            Engine = EngineChoice.Twin,
            Resources = [ResourceFile],
            Listen = null,
            Quiet = true,
            Paths = new AgentPaths(Path.Combine(Directory, "run"), Path.Combine(Directory, "state"), Path.Combine(Directory, "pins")),
        };
        Write(RateLimit(1000));
    }

    public string Directory { get; }

    public string ResourceFile { get; }

    public AgentOptions Options { get; }

    public static string RateLimit(int packetsPerSecond) =>
        $"{Head}kind: RateLimit\nmetadata: {{name: limit}}\nspec: {{interfaces: [capture], packetsPerSecond: {packetsPerSecond}}}\n";

    public static string BlockList(string prefix) =>
        $"{Head}kind: BlockList\nmetadata: {{name: bad}}\nspec: {{interfaces: [capture], entries: [{prefix}]}}\n";

    public static string LoadBalancer(string address = "192.0.2.10", string backend = "10.0.0.1") =>
        $"{Head}kind: LoadBalancer\nmetadata: {{name: web}}\nspec:\n  interfaces: [capture]\n  addresses: [{address}]\n  ports: [{{port: 80}}]\n  backends: [{{address: {backend}}}]\n";

    public void Write(string resources) => File.WriteAllText(ResourceFile, resources);

    /// <summary>A platform that has started, without the API, and the twin under it.</summary>
    public (Platform Platform, TwinDatapath Twin) Start()
    {
        var opened = OpenedDatapath.Open(Options, TimeProvider.System);
        var platform = new Platform(Options, opened, TimeProvider.System, NullLogger<Platform>.Instance);
        platform.Start();
        return (platform, (TwinDatapath)opened.Datapath);
    }

    /// <summary>A platform on a datapath of the test's over the twin, with interfaces of the test's.</summary>
    public Platform Start(IDatapath datapath, Func<IReadOnlyList<HostInterface>> interfaces)
    {
        var platform = new Platform(
            Options, new OpenedDatapath(datapath, TimeProvider.System, interfaces, () => [], new CaptureNextHops(), []), TimeProvider.System, NullLogger<Platform>.Instance);
        platform.Start();
        return platform;
    }

    /// <summary>Runs an agent with its API as long as <paramref name="body"/> takes.</summary>
    public Task ServeAsync(Func<Platform, HttpClient, Task> body) => AgentRunner.RunAsync(
        Options with { Pcap = EmptyCapture() },
        async (platform, _) =>
        {
            using var client = new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync }) { BaseAddress = new Uri("http://skep") };
            await body(platform, client);
        },
        TestContext.Current.CancellationToken);

    public static XdpAction Send(TwinDatapath twin, string source, string destination, ushort port = 80) => twin.Pass(
        OpenedDatapath.CaptureInterface, 1, PacketBuilder.Ethernet().IPv4(source, destination).Udp(4000, port).Payload(10).Build(), outgoing: false);

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);

    private string EmptyCapture()
    {
        var path = Path.Combine(Directory, "empty.pcap");
        Bpf.Twin.Captures.CaptureWriter.Create(path).Dispose();
        return path;
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Options.Paths.Socket), cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
