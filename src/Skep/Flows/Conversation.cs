using Skep.Packets;

namespace Skep.Flows;

/// <summary>Addresses, ports and protocol in one direction: the name by which events of the kernel know a flow.</summary>
internal readonly record struct Conversation(IpAddress Source, IpAddress Destination, uint RawPorts, uint Protocol)
{
    public Conversation Reversed => new(Destination, Source, (RawPorts << 16) | (RawPorts >> 16), Protocol);

    public static Conversation Of(in FlowKey key) => new(key.Local, key.Remote, key.RawPorts, key.Protocol);

    public static Conversation Of(in KernelEventKey key) => new(key.Source, key.Destination, key.RawPorts, key.Protocol);

    /// <summary>The names of a flow: the kernel knows each half of a balanced one by its own addresses.</summary>
    public static (Conversation First, Conversation? Second) Of(in FlowRecord flow)
    {
        if (flow.Translation is not { } translation)
        {
            return (Of(flow.Key), null);
        }

        var (service, backend) = TranslatedFlows.NamesOf(flow.Key, translation);
        return (Of(in service), service == backend ? null : Of(in backend));
    }
}
