using System.Net;
using System.Net.Sockets;

namespace Skep.EndToEndTests.Surroundings;

/// <summary>An agent of its own instance that observes loopback only, with a port for metrics. Disposing of it removes all it left in kernel and files.</summary>
internal sealed class AgentUnderTest : IDisposable
{
    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_stop = TimeSpan.FromSeconds(20);

    private readonly string _instance;
    private readonly string _state;
    private readonly ChildProcess _process;

    private AgentUnderTest(string name, params string[] options)
    {
        _instance = $"e2e-{name}-{Environment.ProcessId}";
        _state = Directory.CreateTempSubdirectory("skep-e2e-").FullName;
        Address = $"127.0.0.1:{FreePort()}";
        _process = Repository.Skep(["agent", "--instance", _instance, "--state", _state, "--listen", Address, "--observe", "lo", "--detach", .. options]);
    }

    /// <summary>Address and port of the TCP listener.</summary>
    public string Address { get; }

    public string Output => _process.Output;

    public static async Task<AgentUnderTest> StartAsync(string name, params string[] options)
    {
        var agent = new AgentUnderTest(name, options);
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri($"http://{agent.Address}") };
            await Eventually.HoldsAsync(async () => (await client.GetAsync("/readyz")).IsSuccessStatusCode, s_start, () => agent.Output);
            return agent;
        }
        catch
        {
            agent.Dispose();
            throw;
        }
    }

    /// <summary>A port that nobody listens on now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose()
    {
        try
        {
            _process.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
            _process.EndsAsync(s_stop).GetAwaiter().GetResult();
        }
        finally
        {
            _process.Dispose();
            using var down = Repository.Skep("down", "--instance", _instance, "--state", _state);
            down.EndsAsync(s_stop).GetAwaiter().GetResult();
            Directory.Delete(_state, recursive: true);
            Directory.Delete(Path.Combine("/run/skep", _instance), recursive: true);
        }
    }
}
