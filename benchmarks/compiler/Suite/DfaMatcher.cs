using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Runs the first bytes of a TCP payload through an automaton in a map and drops what ends in the state of a rule.</summary>
internal sealed unsafe class DfaMatcher : Algorithm
{
    private const int States = 32;
    private const uint Bytes = 64;

    private readonly ArrayMap<Table> _automaton = new(1);
    private readonly PerCpuArrayMap<ulong> _matches = new(16);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("no match in 64 bytes", Payload("GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nAccept: text/html\r\n")),
        new("match at the start", Payload("cmd.exe and so on, until the window is over: lorem ipsum dolor sit")),
        new("match later", Payload("GET /../../etc/passwd HTTP/1.0\r\n")),
        new("short payload", Payload("hello")),
        new("no payload", Payload("")),
        new("UDP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(4000, 53).Payload(60).Build()),
    ];

    private static byte[] Payload(string text) =>
        PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(4000, 80).Payload([.. text.Select(c => (byte)c)]).Build();

    /// <summary>Two patterns, by the automaton of Knuth, Morris and Pratt for each; a state that has matched stays.</summary>
    internal override void Fill()
    {
        var table = default(Table);
        string[] patterns = ["cmd.exe", "/etc/passwd"];
        var states = new List<string> { "" };
        states.AddRange(patterns.SelectMany(p => Enumerable.Range(1, p.Length).Select(n => p[..n])));
        for (var s = 0; s < states.Count; s++)
        {
            var done = Array.IndexOf(patterns, states[s]);
            table.Rule[s] = (byte)(done + 1);
            for (var c = 0; c < 256; c++)
            {
                var text = states[s] + (char)c;
                var next = done >= 0 ? s : 0;
                for (var from = 0; next == 0 && from < text.Length; from++)
                {
                    next = Math.Max(0, states.IndexOf(text[from..]));
                }

                table.Next[(s << 8) | c] = (byte)next;
            }
        }

        _automaton.Set(0, in table);
    }

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        var tcp = (TcpHeader*)(ip + 1);
        if ((byte*)(tcp + 1) > end || ethernet->EtherType != EtherTypes.IPv4 || ip->VersionIhl != 0x45 || ip->Protocol != IpProtocol.Tcp)
        {
            return XdpAction.Pass;
        }

        ref var table = ref _automaton.Find(0u);
        if (Unsafe.IsNullRef(ref table))
        {
            return XdpAction.Aborted;
        }

        var at = (byte*)tcp + ((tcp->DataOffset & 0xF0u) >> 2);
        var state = 0u;
        for (var i = 0u; i < Bytes; i++)
        {
            if (at + 1 > end)
            {
                break;
            }

            state = table.Next[((state & (States - 1)) << 8) | *at];
            at++;
        }

        var rule = (uint)table.Rule[state & (States - 1)];
        if (rule == 0)
        {
            return XdpAction.Pass;
        }

        ref var count = ref _matches.Find(in rule);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return XdpAction.Drop;
    }

    private struct Table
    {
        internal fixed byte Next[States * 256];
        internal fixed byte Rule[States];
    }
}
