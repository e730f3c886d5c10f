using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half of an exchange of programs for ones with tables of other sizes or layouts. Interfaces are exchanged one after the other, and what began meanwhile is known to either
/// the table of before or the next one, until it is carried over once more. A packet of TCP that belongs to no known connection and begins none may be of one of those: given another backend it
/// would break, so it is held back, which makes its sender repeat it. Both tables share the word, which ends by itself should the agent end in between.
/// </summary>
internal sealed class ExchangeHold(Global<ulong> until)
{
    private readonly Global<ulong> _until = until;

    /// <summary>Whether a packet that no table knows is to be dropped.</summary>
    internal bool Holds(uint protocol, TcpFlags flags)
    {
        var until = _until.Value;
        return until != 0 && protocol == (uint)IpProtocol.Tcp && (flags & (TcpFlags.Syn | TcpFlags.Ack)) != TcpFlags.Syn && Helper.KtimeGetNs() < until;
    }
}
