using System.Net.Sockets;
using System.Text;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Agent;

public class SystemdTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task The_agent_tells_systemd_when_it_is_ready_and_when_it_stops()
    {
        var folder = Directory.CreateTempSubdirectory("skep-systemd-");
        try
        {
            var path = Path.Combine(folder.FullName, "notify");
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint(path));

            // The host library looks for a parent process named systemd: here a shell of that name, which hands the signal on.
            var shell = Path.Combine(folder.FullName, "systemd");
            File.CreateSymbolicLink(shell, "/bin/sh");
            var agent = $"dotnet exec '{Path.Combine(AppContext.BaseDirectory, "Skep.Cli.dll")}' agent --engine twin --instance systemd-{Environment.ProcessId} "
                + $"--state '{folder.FullName}/state' --listen off";
            using var process = ChildProcess.Start(
                shell, ["-c", $"export NOTIFY_SOCKET='{path}' XDG_RUNTIME_DIR='{folder.FullName}'; {agent} & trap \"kill $!\" TERM; wait $!; wait $!"]);
            Assert.Contains("READY=1", await ReceiveAsync(socket, process), StringComparison.Ordinal);

            process.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
            Assert.Contains("STOPPING=1", await ReceiveAsync(socket, process), StringComparison.Ordinal);
            await process.EndsAsync(s_limit);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<string> ReceiveAsync(Socket socket, ChildProcess process)
    {
        var buffer = new byte[512];
        using var limit = new CancellationTokenSource(s_limit);
        try
        {
            return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token));
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"no word to systemd within {s_limit}:\n{process.Output}");
            throw;
        }
    }
}
