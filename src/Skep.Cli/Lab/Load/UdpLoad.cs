using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Load;

/// <summary>Datagrams of which each comes from a port of its own and expects the name of the service back.</summary>
/// <param name="Clients">Where the load comes from.</param>
/// <param name="Target">Where it goes.</param>
/// <param name="Time">The clock.</param>
internal sealed record UdpLoad(LabNode Clients, IPEndPoint Target, TimeProvider Time)
{
    private const int Workers = 2;
    private const int TimeoutMilliseconds = 500;

    internal async Task<LoadResult> RunAsync(int exchanges, CancellationToken cancellation)
    {
        var result = new LoadResult();
        var left = exchanges;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Clients.Namespace.RunAsync(() =>
        {
            var sources = Target.AddressFamily == AddressFamily.InterNetwork ? Clients.V4 : Clients.V6;
            for (var turn = worker; !cancellation.IsCancellationRequested && Interlocked.Decrement(ref left) >= 0; turn++)
            {
                AskOnce(sources[turn % sources.Count], result);
            }
        })));
        return result;
    }

    private void AskOnce(IPAddress source, LoadResult result)
    {
        using var socket = new Socket(Target.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = TimeoutMilliseconds };
        var started = Time.GetTimestamp();
        try
        {
            socket.Bind(new IPEndPoint(source, 0));
            socket.Connect(Target); // Only answers from the address that was asked are taken.
            socket.Send("who?"u8);
            Span<byte> answer = stackalloc byte[64];
            result.Answer(Encoding.ASCII.GetString(answer[..socket.Receive(answer)]), Time.GetElapsedTime(started));
        }
        catch (SocketException e)
        {
            result.Error(e.SocketErrorCode.ToString());
        }
    }
}
