using System.Collections;
using Skep.Agent.Api;
using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>
/// Flows of an answer, put into words one by one as the answer is written: none of them is kept, because thousands of short-lived objects at once
/// would outlive their collection and stay behind for long. Disposing of it gives the room of the selection back.
/// </summary>
internal sealed class SelectedFlows(FlowSelection selection, DateTimeOffset now, IReadOnlyDictionary<int, string> interfaces, Action<FlowSelection> giveBack)
    : IReadOnlyList<FlowView>, IDisposable
{
    private FlowSelection? _selection = selection;

    public int Count => Selection.Count;

    private FlowSelection Selection => _selection ?? throw new ObjectDisposedException(nameof(SelectedFlows));

    public FlowView this[int index] => FlowViews.Of(Selection.Events!.Describe(in Selection[index]), now, interfaces);

    public IEnumerator<FlowView> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _selection, null) is { } mine)
        {
            giveBack(mine);
        }
    }
}
