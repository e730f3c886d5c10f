using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// Requests at times that do not depend on the answers (Poisson), a connection each; what one takes counts from when it was due, so that waiting for a slow one is not
/// left out.
/// </summary>
internal sealed class OpenLoad(string client, IPEndPoint target, double perSecond, int seed)
{
    private static readonly byte[] s_request = "work"u8.ToArray();

    private readonly List<double> _seconds = [];
    private readonly Lock _gate = new();
    private int _failed;
    private int _open;

    /// <summary>Requests that failed.</summary>
    internal int Failed => _failed;

    /// <summary>Runs for so long and gives what the requests took, in seconds, those of the first part left out.</summary>
    internal double[] Run(TimeSpan warm, TimeSpan measured)
    {
        NamespaceNetwork.Inside(client, () =>
        {
            var random = new Random(seed);
            var started = Stopwatch.GetTimestamp();
            using var never = new ManualResetEventSlim();
            var due = 0.0;
            while (due < (warm + measured).TotalSeconds)
            {
                var now = Stopwatch.GetElapsedTime(started).TotalSeconds;
                if (due > now)
                {
                    never.Wait(1);
                    continue;
                }

                // A socket belongs to the namespace of the thread that makes it.
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                Interlocked.Increment(ref _open);
                _ = AskAsync(socket, started + (long)(due * Stopwatch.Frequency), due >= warm.TotalSeconds);
                due -= Math.Log(1 - random.NextDouble()) / perSecond;
            }

            // The last ones too, or those that take longest would be missing.
            while (Volatile.Read(ref _open) > 0)
            {
                never.Wait(10);
            }

            return true;
        });
        return [.. _seconds.Order()];
    }

    private async Task AskAsync(Socket socket, long due, bool counts)
    {
        try
        {
            using (socket)
            {
                await socket.ConnectAsync(target);
                await socket.SendAsync(s_request);
                var failed = await socket.ReceiveAsync(new byte[16]) == 0;
                Note(failed, due, counts);
            }
        }
        catch (SocketException)
        {
            Note(failed: true, due, counts);
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private void Note(bool failed, long due, bool counts)
    {
        if (failed)
        {
            Interlocked.Increment(ref _failed);
        }
        else if (counts)
        {
            var took = Stopwatch.GetElapsedTime(due).TotalSeconds;
            lock (_gate)
            {
                _seconds.Add(took);
            }
        }
    }
}
