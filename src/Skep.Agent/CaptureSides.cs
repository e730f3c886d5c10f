using Skep.Packets;

namespace Skep.Agent;

/// <summary>
/// Tells the directions of a capture apart. It does not say on which side it was taken: who sends the first packet between two
/// addresses counts as this side.
/// </summary>
internal sealed unsafe class CaptureSides
{
    private const int MostPairs = 100_000;

    private readonly HashSet<(IpAddress From, IpAddress To)> _outgoing = [];

    /// <summary>Whether this side sends the packet.</summary>
    public bool IsOutgoing(ReadOnlySpan<byte> packet)
    {
        fixed (byte* data = packet)
        {
            if (IpPacket.Parse(data, data + packet.Length, out var ip) != ParseStatus.Ip)
            {
                return false;
            }

            if (_outgoing.Contains((ip.Source, ip.Destination)))
            {
                return true;
            }

            if (_outgoing.Contains((ip.Destination, ip.Source)))
            {
                return false;
            }

            if (_outgoing.Count == MostPairs)
            {
                _outgoing.Clear();
            }

            _outgoing.Add((ip.Source, ip.Destination));
            return true;
        }
    }
}
