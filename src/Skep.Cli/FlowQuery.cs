using System.CommandLine;
using System.Globalization;
using Skep.Resources.Reading;

namespace Skep.Cli;

/// <summary>The filters of flows on the command line.</summary>
internal sealed class FlowQuery
{
    private readonly Option<string?> _host = Prefix("--host", "Flows to or from this address or prefix.");
    private readonly Option<string?> _from = Prefix("--from", "Flows opened by this address or prefix.");
    private readonly Option<string?> _to = Prefix("--to", "Flows to this address or prefix.");
    private readonly Option<int> _port = Number("--port", "Either port.", 0, 65535);
    private readonly Option<string?> _protocol = new("--protocol", "--proto") { Description = "tcp, udp, icmp, ...", HelpName = "name" };
    private readonly Option<string?> _interface = new("--interface", "-i") { Description = "Flows at this interface.", HelpName = "name" };
    private readonly Option<int> _limit = Number("--limit", "Flows at most.", 1, Skep.Agent.Api.FlowFilter.MostFlows);

    private FlowQuery(int limit) => _limit.DefaultValueFactory = _ => limit;

    /// <summary>Adds the filters to a verb.</summary>
    public static FlowQuery On(VerbCommand verb, int limit)
    {
        var query = new FlowQuery(limit);
        foreach (var option in new Option[] { query._host, query._from, query._to, query._port, query._protocol, query._interface, query._limit })
        {
            verb.Add(option);
        }

        return query;
    }

    /// <summary>The path to ask the agent.</summary>
    public string Path(ParseResult result, string order, DateTimeOffset? since = null)
    {
        var parts = new List<string> { $"order={order}", string.Create(CultureInfo.InvariantCulture, $"limit={result.GetValue(_limit)}") };
        Add("host", result.GetValue(_host));
        Add("from", result.GetValue(_from));
        Add("to", result.GetValue(_to));
        Add("port", result.GetResult(_port) is null ? null : result.GetValue(_port).ToString(CultureInfo.InvariantCulture));
        Add("protocol", result.GetValue(_protocol));
        Add("interface", result.GetValue(_interface));
        Add("since", since?.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture));
        return "api/v1/flows?" + string.Join('&', parts);

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                parts.Add($"{name}={Uri.EscapeDataString(value)}");
            }
        }
    }

    private static Option<string?> Prefix(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "address" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } text && !Scalars.TryParsePrefix(text, out _))
            {
                result.AddError($"{name}: '{text}' is not an address or prefix, such as 192.0.2.1 or 2001:db8::/32.");
            }
        });
        return option;
    }

    private static Option<int> Number(string name, string description, int least, int most) => new(name)
    {
        Description = description,
        HelpName = "number",
        CustomParser = result =>
        {
            if (!int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < least || number > most)
            {
                result.AddError($"{name}: a whole number from {least} to {most}.");
            }

            return number;
        },
    };
}
