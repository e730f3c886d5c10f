using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Skep.Balancing.Health;

namespace Skep.Tests.Balancing.Health;

/// <summary>Checks against real servers on the loopback device.</summary>
public sealed class HealthProbeTests : IDisposable
{
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(200);

    private readonly List<IDisposable> _servers = [];

    public void Dispose() => _servers.ForEach(s => s.Dispose());

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task A_port_that_takes_connections_lives(string address)
    {
        Assert.StartsWith("connected in", (await RunAsync(new HealthCheck(), Listen(address, _ => { }))).Alive(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_nobody_listens_at_is_dead()
    {
        var target = Listen("127.0.0.1", _ => { });
        Dispose();
        Assert.Contains("refused", (await RunAsync(new HealthCheck(), target)).Dead(), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", null, true, "status 200 in")]
    [InlineData("HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", null, true, "status 301")]
    [InlineData("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", null, false, "status 503")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok", "ok", true, "status 200")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "ok", false, "does not contain")]
    [InlineData("SSH-2.0-OpenSSH\r\n", null, false, "")]
    public async Task An_HTTP_check_reads_status_and_text(string answer, string? expect, bool isAlive, string reason)
    {
        var target = Listen("127.0.0.1", s => s.Write(Encoding.ASCII.GetBytes(answer)));
        var result = await RunAsync(new HealthCheck { Type = HealthCheckType.Http, Expect = expect }, target);
        Assert.Equal(isAlive, result.IsAlive);
        Assert.Contains(reason, result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_HTTP_check_asks_for_what_it_is_told()
    {
        var asked = new TaskCompletionSource<string>();
        var target = Listen("::1", s =>
        {
            var buffer = new byte[4096];
            asked.TrySetResult(Encoding.ASCII.GetString(buffer, 0, s.Read(buffer)));
            s.Write("HTTP/1.1 204 No Content\r\n\r\n"u8);
        });
        (await RunAsync(new HealthCheck { Type = HealthCheckType.Http, Path = "/healthz?full=1", Host = "shop.example" }, target)).Alive();
        var request = await asked.Task;
        Assert.StartsWith("GET /healthz?full=1 HTTP/1.1\r\n", request, StringComparison.Ordinal);
        Assert.Contains("Host: shop.example\r\n", request, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_HTTPS_check_takes_any_certificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = new CertificateRequest("CN=old", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddDays(1));
        using var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        var target = Listen("127.0.0.1", s =>
        {
            using var tls = new SslStream(s);
            tls.AuthenticateAsServer(certificate);
            tls.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8);
        });
        (await RunAsync(new HealthCheck { Type = HealthCheckType.Https, Timeout = TimeSpan.FromSeconds(30) }, target)).Alive();
    }

    [Fact]
    public async Task A_server_that_takes_connections_and_says_nothing_is_dead_by_HTTP_only()
    {
        var hold = new ManualResetEventSlim();
        var target = Listen("127.0.0.1", _ => hold.Wait());
        Assert.Equal("no answer in 200 ms", (await RunAsync(new HealthCheck { Type = HealthCheckType.Http, Timeout = s_short }, target)).Dead());
        (await RunAsync(new HealthCheck(), target)).Alive();
        hold.Set();
    }

    [Theory]
    [InlineData("pong", true)]
    [InlineData("pang", false)]
    public async Task A_UDP_check_wants_an_answer(string answer, bool isAlive)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        _servers.Add(socket);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var serving = Task.Run(() =>
        {
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            var buffer = new byte[100];
            var length = socket.ReceiveFrom(buffer, ref from);
            socket.SendTo(Encoding.ASCII.GetBytes(answer), from);
            return Encoding.ASCII.GetString(buffer, 0, length);
        });
        var result = await RunAsync(new HealthCheck { Type = HealthCheckType.Udp, Send = "ping", Expect = "pong" }, (IPEndPoint)socket.LocalEndPoint!);
        Assert.Equal("ping", await serving);
        Assert.Equal(isAlive, result.IsAlive);
    }

    [Fact]
    public async Task A_closed_UDP_port_is_dead_at_once_and_a_silent_one_after_the_time_limit()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var target = (IPEndPoint)socket.LocalEndPoint!;
        Assert.StartsWith("no answer", (await RunAsync(new HealthCheck { Type = HealthCheckType.Udp, Timeout = s_short }, target)).Dead(), StringComparison.Ordinal);
        socket.Dispose();
        Assert.Contains("refused", (await RunAsync(new HealthCheck { Type = HealthCheckType.Udp, Timeout = TimeSpan.FromSeconds(30) }, target)).Dead(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_command_is_told_the_backend_and_its_exit_code_counts()
    {
        var target = new IPEndPoint(IPAddress.IPv6Loopback, 80);
        HealthCheck Exec(params string[] command) => new() { Type = HealthCheckType.Exec, Command = string.Join('\n', command), Timeout = TimeSpan.FromSeconds(30) };
        (await RunAsync(Exec("/bin/sh", "-c", "test $1 = ::1 && test $2 = 80", "check", "{address}", "{port}"), target)).Alive();
        Assert.Equal("exit code 3: disk full", (await RunAsync(Exec("/bin/sh", "-c", "echo disk full >&2; exit 3"), target)).Dead());
        (await RunAsync(Exec("/no/such/program"), target)).Dead();
        Assert.StartsWith("no answer", (await RunAsync(Exec("/bin/sleep", "1000") with { Timeout = s_short }, target)).Dead(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checks_come_from_the_address_they_are_told()
    {
        var from = new TaskCompletionSource<string>();
        var target = Listen("127.0.0.1", s => from.TrySetResult(((IPEndPoint)s.Socket.RemoteEndPoint!).Address.ToString()));
        (await RunAsync(new HealthCheck { Source = IPAddress.Parse("127.0.0.7") }, target)).Alive();
        Assert.Equal("127.0.0.7", await from.Task);
    }

    private static Task<ProbeResult> RunAsync(HealthCheck check, IPEndPoint target) =>
        HealthProbe.RunAsync(check, CheckWay.ByAddress(target, check.Source), TimeProvider.System, TestContext.Current.CancellationToken);

    private IPEndPoint Listen(string address, Action<NetworkStream> serve)
    {
        var listener = new TcpListener(IPAddress.Parse(address), 0);
        listener.Start();
        _servers.Add(listener);
        _ = Task.Factory.StartNew(
            () =>
            {
                try
                {
                    while (true)
                    {
                        var client = listener.AcceptTcpClient();
                        _ = Task.Run(() =>
                        {
                            using (client)
                            {
                                serve(client.GetStream());
                            }
                        });
                    }
                }
                catch (SocketException)
                {
                    // The test is over.
                }
            },
            TaskCreationOptions.LongRunning);
        return (IPEndPoint)listener.LocalEndpoint;
    }
}

file static class Results
{
    public static string Alive(this ProbeResult result)
    {
        Assert.True(result.IsAlive, result.Reason);
        return result.Reason;
    }

    public static string Dead(this ProbeResult result)
    {
        Assert.False(result.IsAlive, result.Reason);
        return result.Reason;
    }
}
