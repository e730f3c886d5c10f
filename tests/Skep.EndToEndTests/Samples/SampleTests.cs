using System.Net;
using System.Net.Sockets;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Samples;

/// <summary>Each sample as a reader runs it: one file, <c>dotnet run</c>.</summary>
public class SampleTests
{
    private const int MostLines = 60;
    private static readonly TimeSpan s_build = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan s_run = TimeSpan.FromSeconds(30);

    [Fact]
    public void Samples_fit_on_a_screen() =>
        Assert.All(Directory.GetFiles(Folder, "*.cs"), file => Assert.InRange(File.ReadAllLines(file).Length, 10, MostLines));

    [KernelFact]
    public async Task Packets_are_counted_by_protocol()
    {
        using var sample = await StartAsync("count-protocols.cs", "counting on lo", "lo", "2");
        using var socket = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        for (var i = 0; i < 25; i++)
        {
            socket.Send([1], 1, (IPEndPoint)socket.Client.LocalEndPoint!);
        }

        Assert.Equal(0, await sample.EndsAsync(s_run));
        Assert.InRange(CountIn(sample.Output, "Udp"), 25, long.MaxValue);
    }

    [KernelFact]
    public async Task Connections_are_shown_with_their_process()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var sample = await StartAsync("who-connects.cs", "watching connections", "3");
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);

        await sample.SeesAsync($"{Environment.ProcessId} -> {listener.LocalEndpoint}", s_run);
        Assert.Equal(0, await sample.EndsAsync(s_run));
    }

    [KernelFact]
    public async Task Drops_are_counted_by_reason()
    {
        using var sample = await StartAsync("drops-by-reason.cs", "counting drops", "2");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        for (var i = 0; i < 10; i++)
        {
            // Port 4 is unassigned (IANA): nobody listens.
            socket.SendTo([1], new IPEndPoint(IPAddress.Loopback, 4));
        }

        Assert.Equal(0, await sample.EndsAsync(s_run));
        Assert.InRange(CountIn(sample.Output, "NO_SOCKET"), 10, long.MaxValue);
    }

    [KernelFact]
    public async Task Reno_carries_bytes_as_a_congestion_control()
    {
        using var sample = await StartAsync("reno.cs", "'csharp_reno' carried 67108864 bytes");

        Assert.Equal(0, await sample.EndsAsync(s_run));
        Assert.Matches("[1-9][0-9]* acknowledgements asked it for a window", sample.Output);
    }

    private static string Folder => Path.Combine(Repository.Root, "samples");

    private static async Task<ChildProcess> StartAsync(string file, string ready, params string[] arguments)
    {
        var sample = ChildProcess.Start("dotnet", ["run", "-c", Repository.Configuration, "--file", file, "--", .. arguments], Folder);
        await sample.SeesAsync(ready, s_build);
        return sample;
    }

    private static long CountIn(string output, string name)
    {
        var line = output.Split('\n').FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal));
        Assert.True(line is not null, $"no '{name}' in:\n{output}");
        return long.Parse(line[name.Length..]);
    }
}
