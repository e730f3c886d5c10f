using System.Net;
using System.Runtime.CompilerServices;
using Skep.Agent.Api;
using Skep.Balancing;
using Skep.Bpf.Buffers;
using Skep.Edge.Tracing;
using Skep.Packets;

namespace Skep.Agent;

/// <summary>One connection, packet by packet.</summary>
internal sealed partial class Platform
{
    /// <summary>Begins to trace; null, or why not. Whoever began ends it, by reading or by <see cref="EndTrace"/>.</summary>
    public string? BeginTrace(IPAddress client, int clientPort, IPEndPoint service, IpProtocol protocol)
    {
        lock (_gate)
        {
            var filter = new TraceFilter
            {
                Client = IpAddress.From(client),
                Service = IpAddress.From(service.Address),
                RawPorts = NetworkUInt16.From((ushort)clientPort).Raw | ((uint)NetworkUInt16.From((ushort)service.Port).Raw << 16),
                Protocol = (uint)protocol,
            };
            string? refusal = "The kernel refused; the log of the agent says why.";
            var hasStarted = false;
            Guarded("starting a trace", () =>
            {
                var said = _edge.StartTrace(in filter);
                hasStarted = said is null;
                if (hasStarted)
                {
                    Reconcile();
                }

                refusal = said;
            });
            if (hasStarted && refusal is not null)
            {
                EndTrace();
            }

            return refusal;
        }
    }

    /// <summary>The packets of the trace that was begun, until so many were seen, the time is over or nobody reads any more; then it ends.</summary>
    public async IAsyncEnumerable<TraceView> ReadTraceAsync(int count, TimeSpan duration, [EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            using var limit = new CancellationTokenSource(duration, _wall);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
            using var reader = new RingBufferReader<TraceRecord>(_edge.Trace.Events);
            var lost = _edge.Trace.ReadLost();
            for (var number = 1; number <= count;)
            {
                if (reader.TryRead(out var record))
                {
                    yield return Tell(number++, in record, _edge.Trace.ReadLost() - lost);
                }
                else if (!await IsThereMoreAsync(reader, both.Token))
                {
                    break;
                }
            }
        }
        finally
        {
            EndTrace();
        }
    }

    /// <summary>Ends the trace.</summary>
    public void EndTrace()
    {
        lock (_gate)
        {
            if (!_isDisposed)
            {
                Guarded("ending a trace", () =>
                {
                    _edge.StopTrace();
                    Reconcile();
                });
            }
        }
    }

    private static async Task<bool> IsThereMoreAsync(RingBufferReader<TraceRecord> reader, CancellationToken cancellation)
    {
        try
        {
            await reader.WaitAsync(cancellation);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private TraceView Tell(int number, in TraceRecord record, ulong lost)
    {
        lock (_gate)
        {
            var names = Interfaces().ToDictionary(i => i.Index, i => i.Name);
            var story = new TraceStory(_edge.State!.Balancer, index => names.GetValueOrDefault(index, $"interface {index}"));
            var told = story.Tell(in record);
            return new TraceView(
                number, _edge.Clock.ToWall(record.Time), (record.Marks & TraceMarks.Reply) != 0 ? "answer" : "request", told.Summary,
                string.Concat(told.Verdict.ToString().Select((c, i) => char.IsUpper(c) && i > 0 ? $"_{c}" : c.ToString())).ToLowerInvariant(),
                told.Service?.Name, told.Backend is { } b ? EndpointText.Of(b.Address, b.Port) : null, told.Steps, lost);
        }
    }
}
