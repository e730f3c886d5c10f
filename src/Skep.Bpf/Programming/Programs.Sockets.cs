namespace Skep.Bpf.Programming;

/// <summary>A program that chooses which socket takes a connection or datagram (kernel 5.9).</summary>
public abstract class SkLookupProgram : BpfProgram<SkLookupContext, SkVerdict>
{
    /// <inheritdoc/>
    public override string Section => "sk_lookup";
}

/// <summary>A program that sees what is sent on the sockets of a socket map, and may redirect it (kernel 4.17).</summary>
public abstract class SkMsgProgram : BpfProgram<SkMsgContext, SkVerdict>
{
    /// <inheritdoc/>
    public override string Section => "sk_msg";
}

/// <summary>A program that sees what the sockets of a socket map receive, and may redirect it (kernel 4.14; <c>sk_skb/verdict</c> without parser 5.13).</summary>
public abstract class SkSkbProgram : BpfProgram<SkbContext, SkVerdict>
{
    /// <inheritdoc/>
    public override string Section => "sk_skb/stream_verdict";
}

/// <summary>A program that finds the end of a message in what a socket received (kernel 4.14). It returns its length, or 0 when more data is needed.</summary>
public abstract class StreamParserProgram : BpfProgram<SkbContext, int>
{
    /// <inheritdoc/>
    public sealed override string Section => "sk_skb/stream_parser";
}

/// <summary>A program that chooses among sockets that share a port by SO_REUSEPORT (kernel 4.19).</summary>
public abstract class SkReuseportProgram : BpfProgram<SkReuseportContext, SkVerdict>
{
    /// <inheritdoc/>
    public override string Section => "sk_reuseport";
}

/// <summary>A program that filters what a socket receives (kernel 3.19). It returns how many bytes to keep, 0 for none.</summary>
public abstract class SocketFilterProgram : BpfProgram<SkbContext, uint>
{
    /// <inheritdoc/>
    public sealed override string Section => "socket";
}

/// <summary>Verdict of a program on sockets (<c>enum sk_action</c>).</summary>
public enum SkVerdict
{
    /// <summary>Dropped.</summary>
    Drop = 0,
    /// <summary>Goes on, to where a helper said or as without the program.</summary>
    Pass = 1,
}
