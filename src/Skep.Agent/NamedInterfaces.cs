using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.Agent;

/// <summary>
/// Which interfaces names stand for. An interface that is renamed keeps what was asked for under its old name, because losing a block list over a rename
/// is nothing that anybody means; it ends when another interface takes the name, or when the new name is asked for itself. Not for concurrent use.
/// </summary>
internal sealed class NamedInterfaces
{
    // By the name as pins have it: that is how an earlier agent tells.
    private readonly Dictionary<string, int> _known = new(StringComparer.Ordinal);

    /// <summary>An interface had the name.</summary>
    public void Remember(string name, int index) => _known[PinName.For(name)] = index;

    /// <summary>The names by the numbers of the interfaces that they stand for; a name that stands for none now is left out.</summary>
    public IReadOnlyDictionary<int, string> Resolve(IReadOnlyCollection<string> names, IReadOnlyList<HostInterface> present)
    {
        foreach (var gone in _known.Keys.Except(names.Select(PinName.For), StringComparer.Ordinal).ToArray())
        {
            _known.Remove(gone);
        }

        var found = new Dictionary<int, string>();
        var absent = new List<string>();
        foreach (var name in names)
        {
            if (present.FirstOrDefault(i => i.Name == name) is { Name: not null } owner)
            {
                found[owner.Index] = name;
                Remember(name, owner.Index);
            }
            else
            {
                absent.Add(name);
            }
        }

        foreach (var name in absent)
        {
            if (_known.TryGetValue(PinName.For(name), out var index) && present.Any(i => i.Index == index))
            {
                found.TryAdd(index, name);
            }
        }

        return found;
    }
}
