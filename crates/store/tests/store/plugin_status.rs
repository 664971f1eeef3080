use keyward_model::{InstanceName, PluginName};
use keyward_store::{PluginStatus, RefusedBundle, Store};

use crate::Fixture;

fn status(instance: &str, checksum: Option<&str>, refused: Option<RefusedBundle>) -> PluginStatus {
    PluginStatus {
        instance: InstanceName::try_from(instance).unwrap(),
        bundle: PluginName::try_from("Example").unwrap(),
        checksum: checksum.map(str::to_owned),
        refused,
    }
}

#[tokio::test]
async fn what_is_known_of_plugins_is_replaced_as_a_whole() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.plugin_status().await.unwrap(), []);
    let refused = RefusedBundle { checksum: "c2".into(), reason: "ValueError\0".into() };
    let before = [status("aa", Some("c1"), Some(refused)), status("store", None, None)];
    fixture.store.put_plugin_status(&before).await.unwrap();
    let kept = fixture.store.plugin_status().await.unwrap();
    assert_eq!(kept[0].refused.as_ref().unwrap().reason, "ValueError?");
    assert_eq!((kept[0].checksum.as_deref(), kept[1].clone()), (Some("c1"), before[1].clone()));
    let after = [status("store", Some("c1"), None)];
    fixture.store.put_plugin_status(&after).await.unwrap();
    assert_eq!(fixture.store.plugin_status().await.unwrap(), after);
}

#[tokio::test]
async fn a_data_folder_is_served_while_a_gateway_has_it() {
    let fixture = Fixture::new().await;
    assert!(Store::is_served(fixture.dir.path()).await.unwrap());
    let beside = fixture.beside().await;
    let Fixture { store, dir, database } = fixture;
    drop(store);
    assert!(!Store::is_served(dir.path()).await.unwrap());
    drop(beside);
    let again = Store::open(database.place(dir.path())).await.unwrap();
    assert!(Store::is_served(dir.path()).await.unwrap());
    drop(again);
}
