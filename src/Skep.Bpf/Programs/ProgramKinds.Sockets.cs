using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>Kinds that belong to sockets: which one takes a packet, and where the data goes.</summary>
public static partial class ProgramKinds
{
    private static IReadOnlyList<ProgramKind> Sockets { get; } =
    [
        new("sk_lookup", ProgramType.SkLookup, typeof(SkLookupProgram), new(5, 9))
        {
            Use = "which socket takes a connection or datagram",
            Attachment = "link on a network namespace",
            Returns = "1 goes on, with the socket assigned if there is one; 0 drops, and TCP answers with a reset",
            Page = "sk-lookup",
            ProbeReturns = 1,
            Sections = [Section("sk_lookup", AttachType.SkLookup)],
        },
        new("sk_msg", ProgramType.SkMsg, typeof(SkMsgProgram), new(4, 17))
        {
            Use = "data between local sockets",
            Attachment = "link on a socket map (6.10), attached to the map before",
            Returns = "1 sends, or redirects when a redirect was asked for; 0 drops, and send fails with EACCES",
            Page = "sk-msg",
            Sections = [Section("sk_msg", AttachType.SkMsgVerdict)],
        },
        new("sk_skb", ProgramType.SkSkb, typeof(SkSkbProgram), new(4, 14))
        {
            Use = "data received: filtered, redirected",
            Attachment = "link on a socket map (6.10), attached to the map before",
            Returns = "1 passes, or redirects when a redirect was asked for; 0 drops",
            Page = "sk-skb",
            Sections =
            [
                Section("sk_skb/stream_verdict", AttachType.SkSkbStreamVerdict), Section("sk_skb/verdict", AttachType.SkSkbVerdict), Section("sk_skb"),
            ],
        },
        new("sk_skb parser", ProgramType.SkSkb, typeof(StreamParserProgram), new(4, 14))
        {
            Use = "data received: cut into messages",
            Attachment = "link on a socket map (6.10), attached to the map before",
            Returns = "length of the message in bytes; 0 when more data is needed",
            Page = "sk-skb",
            Sections = [Section("sk_skb/stream_parser", AttachType.SkSkbStreamParser)],
        },
        new("sk_reuseport", ProgramType.SkReuseport, typeof(SkReuseportProgram), new(4, 19))
        {
            Use = "which of several sockets on the same port",
            Attachment = "socket option SO_ATTACH_REUSEPORT_EBPF",
            Returns = "1 passes, to the socket selected if there is one; 0 drops",
            Page = "sk-reuseport",
            Sections =
            [
                Section("sk_reuseport", AttachType.SkReuseportSelect), Section("sk_reuseport/migrate", AttachType.SkReuseportSelectOrMigrate),
            ],
        },
        new("socket filter", ProgramType.SocketFilter, typeof(SocketFilterProgram), new(3, 19))
        {
            Use = "which packets a socket receives",
            Attachment = "socket option SO_ATTACH_BPF",
            Returns = "bytes of the packet to keep; 0 drops it",
            Page = "socket-filter",
            Sections = [Section("socket")],
        },
    ];
}
