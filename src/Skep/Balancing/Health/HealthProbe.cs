using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Skep.Balancing.Adaptive;
using Skep.Bpf;

namespace Skep.Balancing.Health;

/// <summary>Asks a backend once whether it lives.</summary>
internal static class HealthProbe
{
    private const int MostAnswer = 64 * 1024;

    /// <summary>One check by <paramref name="way"/>. What goes wrong is a result, not an exception.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled, and not because of the check's own time limit.</exception>
    public static async Task<ProbeResult> RunAsync(HealthCheck check, CheckWay way, TimeProvider time, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(check.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        var start = time.GetTimestamp();
        string Took() => BackendFate.Shown(time.GetElapsedTime(start).TotalSeconds);
        try
        {
            var result = check.Type switch
            {
                HealthCheckType.Tcp => await TcpAsync(way, Took, both.Token),
                HealthCheckType.Http or HealthCheckType.Https => await HttpAsync(check, way, Took, both.Token),
                HealthCheckType.Udp => await UdpAsync(check, way, Took, both.Token),
                _ => await ExecAsync(check, way.Target, Took, both.Token),
            };
            return result with { Took = time.GetElapsedTime(start) };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new(false, $"no answer in {BackendFate.Shown(check.Timeout.TotalSeconds)}");
        }
        catch (Exception e) when (e is SocketException or BpfException or HttpRequestException or IOException or System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            return new(false, Innermost(e));
        }
    }

    private static async Task<ProbeResult> TcpAsync(CheckWay way, Func<string> took, CancellationToken cancellation)
    {
        using var socket = await ConnectAsync(way, cancellation);
        return new(true, $"connected in {took()}");
    }

    private static async Task<Socket> ConnectAsync(CheckWay way, CancellationToken cancellation)
    {
        var socket = way.Open(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.NoDelay = true;
            await socket.ConnectAsync(way.Target, cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<ProbeResult> HttpAsync(HealthCheck check, CheckWay way, Func<string> took, CancellationToken cancellation)
    {
        // A connection of its own each time: a check that reuses one does not see that no new ones are taken.
        using var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.Zero,
            SslOptions = new SslClientAuthenticationOptions
            {
                // Whether it lives is asked, not whether its certificate is of today; a backend is known by its address.
#pragma warning disable CA5359
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
            },
            ConnectCallback = async (_, token) => new NetworkStream(await ConnectAsync(way, token), ownsSocket: true),
        };
        using var client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{(check.Type == HealthCheckType.Https ? "https" : "http")}://{way.Target}{check.Path}");
        request.Headers.Host = check.Host;
        request.Headers.ConnectionClose = true;
        request.Headers.UserAgent.ParseAdd("skep-health");
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        var status = (int)response.StatusCode;
        if (status < check.StatusFrom || status > check.StatusTo)
        {
            return new(false, string.Create(CultureInfo.InvariantCulture, $"status {status}"));
        }

        if (check.Expect is { } expected)
        {
            var body = await ReadAsync(await response.Content.ReadAsStreamAsync(cancellation), cancellation);
            if (!body.Contains(expected, StringComparison.Ordinal))
            {
                return new(false, string.Create(CultureInfo.InvariantCulture, $"status {status}, but the answer does not contain the expected text"));
            }
        }

        return new(true, string.Create(CultureInfo.InvariantCulture, $"status {status} in {took()}"));
    }

    private static async Task<string> ReadAsync(Stream stream, CancellationToken cancellation)
    {
        var buffer = new byte[MostAnswer];
        return Encoding.UTF8.GetString(buffer, 0, await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation));
    }

    private static async Task<ProbeResult> UdpAsync(HealthCheck check, CheckWay way, Func<string> took, CancellationToken cancellation)
    {
        using var socket = way.Open(SocketType.Dgram, ProtocolType.Udp);
        // Connected, so that "port unreachable" comes back as an error and nobody else can answer.
        await socket.ConnectAsync(way.Target, cancellation);
        await socket.SendAsync(Encoding.UTF8.GetBytes(check.Send), cancellation);
        var buffer = new byte[MostAnswer];
        var length = await socket.ReceiveAsync(buffer, cancellation);
        return check.Expect is { } expected && !Encoding.UTF8.GetString(buffer, 0, length).Contains(expected, StringComparison.Ordinal)
            ? new(false, "the answer does not contain the expected text")
            : new(true, $"answered in {took()}");
    }

    private static async Task<ProbeResult> ExecAsync(HealthCheck check, IPEndPoint target, Func<string> took, CancellationToken cancellation)
    {
        var command = check.CommandFor(target);
        var start = new ProcessStartInfo(command[0]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} could not be started");
        process.StandardInput.Close();
        // Read, so that a command that says much does not wait for somebody to listen.
        var output = ReadAsync(process.StandardOutput.BaseStream, cancellation);
        var error = ReadAsync(process.StandardError.BaseStream, cancellation);
        try
        {
            await process.WaitForExitAsync(cancellation);
            if (process.ExitCode == 0)
            {
                return new(true, $"exit code 0 in {took()}");
            }

            var said = ((await error).Trim() is { Length: > 0 } text ? text : (await output).Trim()).ReplaceLineEndings(" ");
            return new(false, string.Create(CultureInfo.InvariantCulture, $"exit code {process.ExitCode}{(said.Length > 0 ? ": " : "")}{said[..Math.Min(120, said.Length)]}"));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static string Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
        {
            e = inner;
        }

        return e.Message.TrimEnd('.').ReplaceLineEndings(" ");
    }
}
