using System.Globalization;

namespace Skep.Cli.Lab;

/// <summary>
/// The list of everything a run made, on disk before it is made, so that a later run can remove what a crashed one left behind.
/// One line per thing: <c>owner ID START</c>, <c>namespace NAME</c>, <c>process ID START</c>, <c>folder PATH</c>.
/// </summary>
internal sealed class LabJournal
{
    internal const string Root = "/run/skep-lab";

    private readonly Lock _gate = new();
    private readonly string _path;

    private LabJournal(string run)
    {
        Run = run;
        _path = PathOf(run);
    }

    /// <summary>Name of the run: unique among the runs that are alive.</summary>
    internal string Run { get; }

    /// <summary>Folder for sockets, configurations and logs of the run.</summary>
    internal string Folder => Path.Combine(Root, Run);

    internal static string PathOf(string run) => Path.Combine(Root, run + ".journal");

    internal static LabJournal Start()
    {
        var journal = new LabJournal(Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        Directory.CreateDirectory(Root);
        var self = ProcessIdentity.Of(Environment.ProcessId)!.Value;
        journal.Append(string.Create(CultureInfo.InvariantCulture, $"owner {self.Id} {self.StartTime}"));
        journal.Append($"folder {journal.Folder}");
        Directory.CreateDirectory(journal.Folder);
        return journal;
    }

    internal void RecordNamespace(string name) => Append($"namespace {name}");

    internal void RecordFolder(string path) => Append($"folder {path}");

    internal void RecordProcess(int id)
    {
        if (ProcessIdentity.Of(id) is { } process)
        {
            Append(string.Create(CultureInfo.InvariantCulture, $"process {process.Id} {process.StartTime}"));
        }
    }

    private void Append(string line)
    {
        lock (_gate)
        {
            File.AppendAllText(_path, line + "\n");
        }
    }
}
