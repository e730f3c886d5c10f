using Skep.Agent.Api;

namespace Skep.Cli;

/// <summary>Tells which flows of an answer are news: begun, ended, or moved on since they were shown.</summary>
internal sealed class FlowFollower
{
    private const int Remembered = 100_000;
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(5);

    private readonly Dictionary<(string, int, string, int, string, string), (DateTimeOffset Shown, string State)> _shown = [];

    /// <summary>The news, oldest first. A flow that goes on is shown again every five seconds, one that changes its state at once.</summary>
    public IEnumerable<FlowView> News(FlowsView answer)
    {
        if (_shown.Count > Remembered)
        {
            _shown.Clear();
        }

        foreach (var flow in answer.Flows.OrderBy(f => f.LastSeen))
        {
            var key = (flow.Source, flow.SourcePort, flow.Destination, flow.DestinationPort, flow.Protocol, flow.Interface);
            if (_shown.TryGetValue(key, out var last) && last.State == flow.State && (flow.LastSeen - last.Shown < s_again || flow.Ended))
            {
                continue;
            }

            _shown[key] = (flow.LastSeen, flow.State);
            yield return flow;
        }
    }
}
