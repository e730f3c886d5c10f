using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Kernel;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Load;

/// <summary>One TCP connection that sends as much as it can or as it is told, to a <see cref="SinkService"/>.</summary>
/// <param name="Local">The client's end.</param>
/// <param name="Sent">Payload bytes handed to the socket.</param>
/// <param name="Received">Payload bytes the sink says it got.</param>
/// <param name="End">The socket's own figures when both sides had closed.</param>
internal sealed record Upload(IPEndPoint Local, long Sent, long Received, TcpInfo End)
{
    private const int Chunk = 32 * 1024;
    private const int TimeoutMilliseconds = 15_000;

    /// <summary>
    /// Sends until the limit of bytes or of time is reached, waits for the sink's count and closes. <paramref name="opened"/> gets the connected
    /// socket, to be looked at while it is busy.
    /// </summary>
    internal static Task<Upload> RunAsync(
        LabNamespace place, IPAddress source, IPEndPoint target, long bytes, TimeSpan limit, TimeProvider time, CancellationToken cancellation,
        Action<Socket>? opened = null) => place.RunAsync(() =>
    {
        using var socket = HttpExchange.Connect(source, target);
        socket.ReceiveTimeout = TimeoutMilliseconds;
        socket.SendTimeout = TimeoutMilliseconds;
        var local = (IPEndPoint)socket.LocalEndPoint!;
        opened?.Invoke(socket);
        var chunk = new byte[Chunk];
        var started = time.GetTimestamp();
        var sent = 0L;
        while (sent < bytes && (limit == Timeout.InfiniteTimeSpan || time.GetElapsedTime(started) < limit) && !cancellation.IsCancellationRequested)
        {
            sent += socket.Send(chunk.AsSpan(0, (int)Math.Min(Chunk, bytes - sent)));
        }

        socket.Shutdown(SocketShutdown.Send);
        Span<byte> answer = stackalloc byte[sizeof(long)];
        var length = 0;
        for (int read; length < answer.Length && (read = socket.Receive(answer[length..])) > 0;)
        {
            length += read;
        }

        // The sink closes after its answer; reading to the end means that its FIN has been acknowledged too.
        Span<byte> rest = stackalloc byte[1];
        var more = socket.Receive(rest);
        return more == 0 && length == answer.Length
            ? new Upload(local, sent, BitConverter.ToInt64(answer), TcpInfo.Of(socket))
            : throw new LabException("the sink did not answer with a count");
    });
}
