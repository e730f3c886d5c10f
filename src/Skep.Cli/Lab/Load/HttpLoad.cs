using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Load;

/// <summary>A new connection for every request, from all addresses of the clients in turn.</summary>
/// <param name="Clients">Where the load comes from.</param>
/// <param name="Target">Where it goes.</param>
/// <param name="Time">The clock.</param>
internal sealed record HttpLoad(LabNode Clients, IPEndPoint Target, TimeProvider Time)
{
    private const int Workers = 4;

    /// <summary>Asks as often as given, as fast as four callers can.</summary>
    internal Task<LoadResult> RunAsync(int requests, CancellationToken cancellation)
    {
        var left = requests;
        return RunAsync(() => Interlocked.Decrement(ref left) >= 0, pause: TimeSpan.Zero, cancellation);
    }

    /// <summary>Asks at about the given rate until told to stop.</summary>
    internal Task<LoadResult> RunUntilAsync(int perSecond, CancellationToken stop) =>
        RunAsync(() => !stop.IsCancellationRequested, TimeSpan.FromSeconds((double)Workers / perSecond), stop);

    private async Task<LoadResult> RunAsync(Func<bool> more, TimeSpan pause, CancellationToken stop)
    {
        var result = new LoadResult();
        var sources = Target.AddressFamily == AddressFamily.InterNetwork ? Clients.V4 : Clients.V6;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Clients.Namespace.RunAsync(() =>
        {
            for (var turn = worker; !stop.IsCancellationRequested && more(); turn++)
            {
                AskOnce(sources[turn % sources.Count], result);
                if (pause > TimeSpan.Zero)
                {
                    stop.WaitHandle.WaitOne(pause);
                }
            }
        })));
        return result;
    }

    private void AskOnce(IPAddress source, LoadResult result)
    {
        var started = Time.GetTimestamp();
        try
        {
            using var connection = HttpExchange.Connect(source, Target);
            result.Answer(HttpExchange.Ask(connection, keep: false), Time.GetElapsedTime(started));
        }
        catch (SocketException e)
        {
            result.Error(e.SocketErrorCode.ToString());
        }
        catch (InvalidDataException e)
        {
            result.Error(e.Message);
        }
    }
}
