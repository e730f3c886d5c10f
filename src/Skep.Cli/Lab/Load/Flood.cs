using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Load;

/// <summary>Datagrams nobody asked for, bounded in number and in time.</summary>
/// <param name="Attacker">Where they come from.</param>
/// <param name="Target">Where they go.</param>
/// <param name="Time">The clock.</param>
internal sealed record Flood(LabNode Attacker, IPEndPoint Target, TimeProvider Time)
{
    private const int BurstsPerSecond = 500;

    /// <summary>Sends at an even rate from one port for the time given.</summary>
    /// <returns>How many packets left.</returns>
    internal Task<long> RunAsync(int perSecond, TimeSpan duration, int payload, CancellationToken cancellation) => Attacker.Namespace.RunAsync(() =>
    {
        using var socket = new Socket(Target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(Target.AddressFamily == AddressFamily.InterNetwork ? Attacker.V4[0] : Attacker.V6[0], 0));
        var packet = new byte[payload];
        var target = Target.Serialize();
        var started = Time.GetTimestamp();
        var sent = 0L;
        for (var elapsed = TimeSpan.Zero; elapsed < duration && !cancellation.IsCancellationRequested; elapsed = Time.GetElapsedTime(started))
        {
            // Catching up by the clock keeps the average rate true whatever the timer's grain.
            var due = Math.Min((long)(perSecond * elapsed.TotalSeconds), (long)(perSecond * duration.TotalSeconds));
            for (; sent < due; sent++)
            {
                socket.SendTo(packet, SocketFlags.None, target);
            }

            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(1.0 / BurstsPerSecond));
        }

        return sent;
    });
}
